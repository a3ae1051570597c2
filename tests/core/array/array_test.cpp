// Arrays: views, copies through any strides, conversions, adoption, errors.
#include "trireme/core/array/array.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

Array counting(const Shape& shape) {
  Array out = Array::empty(shape, DType::i64);
  std::iota(out.data<std::int64_t>(), out.data<std::int64_t>() + out.count(), 0);
  return out;
}

using Numbers = std::vector<std::int64_t>;
Numbers numbers(const Array& array) { return array.to_vector<std::int64_t>(); }

// Row-major elements read one by one through the strides: the oracle of every copy.
Numbers walked(const Array& x) {
  Numbers out;
  for (std::int64_t n = 0; n < x.count(); ++n) {
    std::int64_t offset = 0;
    std::int64_t rest = n;
    for (int dim = x.dims() - 1; dim >= 0; --dim) {
      offset += rest % x.shape()[dim] * x.strides()[dim];
      rest /= x.shape()[dim];
    }
    out.push_back(x.data<std::int64_t>()[offset]);
  }
  return out;
}

TEST(Array, ViewsSelectTheRightElements) {
  const Array x = counting({2, 3, 4});
  EXPECT_EQ(numbers(x.select(1, 2)), (Numbers{8, 9, 10, 11, 20, 21, 22, 23}));
  EXPECT_EQ(numbers(x.narrow(2, 1, 2).select(0, 1)), (Numbers{13, 14, 17, 18, 21, 22}));
  EXPECT_EQ(numbers(x.select(0, 0).transpose(0, 1)), (Numbers{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  const int order[] = {2, 0, 1};
  EXPECT_EQ(numbers(x.permute(order).select(0, 3)), (Numbers{3, 7, 11, 15, 19, 23}));
  EXPECT_EQ(numbers(counting({2, 1}).broadcast_to({2, 2, 3})), (Numbers{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(to_string(x.reshape({4, -1}).shape()), "[4, 6]");
}

TEST(Array, ViewsShareStorageAndClonesDoNot) {
  const Array x = counting({2, 3});
  for (const Array& view :
       {x.reshape({3, 2}), x.transpose(0, 1), x.narrow(0, 1, 1), x.select(1, 0), x.flatten(), x.contiguous()}) {
    EXPECT_EQ(view.storage().get(), x.storage().get());
  }
  EXPECT_NE(x.clone().storage().get(), x.storage().get());
  EXPECT_NE(x.transpose(0, 1).contiguous().storage().get(), x.storage().get());
}

TEST(Array, ContiguityIgnoresStridesOfDimsOfSizeOne) {
  EXPECT_TRUE(counting({3, 1, 4}).transpose(0, 1).is_contiguous());
  EXPECT_FALSE(counting({3, 4}).transpose(0, 1).is_contiguous());
  EXPECT_TRUE(counting({3, 4}).narrow(0, 1, 2).is_contiguous());
  EXPECT_FALSE(counting({3, 4}).narrow(1, 1, 2).is_contiguous());
}

TEST(Array, UniquenessFollowsTheNumberOfViews) {
  Array x = counting({4});
  EXPECT_TRUE(x.is_unique());
  {
    const Array view = x.narrow(0, 1, 1);
    EXPECT_FALSE(x.is_unique());
  }
  EXPECT_TRUE(x.is_unique());
  EXPECT_FALSE(Array().is_unique());
}

// Random views of random arrays, copied in both directions.
TEST(Array, CopiesThroughAnyStridesMatchAnElementWalk) {
  std::mt19937 random(3);
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random() % static_cast<unsigned>(bound));
  };
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    const int dims = static_cast<int>(below(5));
    for (int i = 0; i < dims; ++i) {
      shape.push_back(1 + below(i == 0 ? 40 : 7));
    }
    Array view = counting(shape);
    for (int step = 0; step < 3 && view.dims() > 0; ++step) {
      const int dim = static_cast<int>(below(view.dims()));
      switch (below(3)) {
        case 0:
          view = view.transpose(dim, static_cast<int>(below(view.dims())));
          break;
        case 1: {
          const std::int64_t start = below(view.size(dim));
          view = view.narrow(dim, start, below(view.size(dim) - start + 1));
          break;
        }
        default:
          view = view.select(dim, 0).reshape(view.select(dim, 0).shape());
          break;
      }
      if (view.count() == 0) {
        break;
      }
    }
    ASSERT_EQ(numbers(view.clone()), walked(view)) << to_string(view.shape());
    ASSERT_EQ(numbers(view), walked(view));
    if (view.count() > 0) {
      const Array source = counting(view.shape());
      view.copy_from(source);
      ASSERT_EQ(walked(view), numbers(source)) << to_string(view.shape()) << to_string(view.strides());
      view.fill(7);
      ASSERT_EQ(walked(view), Numbers(static_cast<std::size_t>(view.count()), 7));
    }
  }
}

TEST(Array, LargeTranspositionsAreTheSameOnAnyNumberOfThreads) {
  const Array x = counting({5, 301, 127});
  const Numbers expected = walked(x.transpose(1, 2));
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(numbers(x.transpose(1, 2).clone()), expected);
    EXPECT_EQ(numbers(x.transpose(0, 2).clone()), walked(x.transpose(0, 2)));
  }
  set_num_threads(1);
}

TEST(Array, ConversionsRoundTruncateAndSaturate) {
  const double inf = std::numeric_limits<double>::infinity();
  const Array x = Array::from(std::vector<double>{1.9, -1.9, 300, -5, 1e30, -1e30, inf, std::nan("")}, {8});
  EXPECT_EQ(x.to(DType::i32).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{1, -1, 300, -5, 2147483647, -2147483647 - 1, 2147483647, 0}));
  EXPECT_EQ(x.to(DType::u8).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 0, 255, 0, 255, 0, 255, 0}));
  EXPECT_EQ(x.to(DType::i64).to_vector<std::int64_t>()[4], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Array::from(std::vector<float>{0, -0.0F, 0.5F, 3}, {4}).to(DType::boolean).to_vector<std::uint8_t>(),
            (std::vector<std::uint8_t>{0, 0, 1, 1}));
  EXPECT_EQ(Array::full({1}, 1 + 0x1.0p-8).to(DType::bf16).item(), 1);  // a tie: to even
  EXPECT_EQ(x.narrow(0, 0, 1).to(DType::f16).to(DType::bf16).to(DType::f64).item(), 1.8984375);
}

TEST(Array, ConvertedStridedCopiesMatch) {
  const Array x = counting({37, 41});
  const Array y = x.transpose(0, 1).to(DType::f32);
  EXPECT_EQ(y.to(DType::i64).to_vector<std::int64_t>(), walked(x.transpose(0, 1)));
}

TEST(Array, ItemAndVectorsConvert) {
  EXPECT_EQ(Array::full({1, 1}, 2.5, DType::bf16).item(), 2.5);
  EXPECT_THROW(Array::zeros({2}).item(), Error);
  EXPECT_EQ(Array::full({2}, 3, DType::u8).to_vector<double>(), (std::vector<double>{3, 3}));
}

TEST(Array, AdoptedMemoryIsReleasedWithItsLastArray) {
  float memory[6] = {0, 1, 2, 3, 4, 5};
  int released = 0;
  {
    Array view;
    {
      const Array x = Array::over(Storage::adopt(memory, sizeof(memory), [&] { ++released; }), 4, {5}, DType::f32);
      EXPECT_EQ(x.bytes_data(), reinterpret_cast<std::byte*>(memory + 1));
      view = x.narrow(0, 2, 2);
    }
    EXPECT_EQ(released, 0);
    EXPECT_EQ(view.to_vector<float>(), (std::vector<float>{3, 4}));
  }
  EXPECT_EQ(released, 1);
}

TEST(Array, ElementsAreAlignedToACacheLine) {
  for (const std::int64_t count : {1, 15, 1000, 100000, 3000000}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Array::empty({count}).bytes_data()) % 64, 0u) << count;
  }
}

TEST(Array, ADeferredArrayHasAShapeAndViewsButNoValues) {
  const Array x = Array::deferred({4, 2});
  EXPECT_FALSE(x.defined());
  EXPECT_EQ(to_string(x.narrow(0, 1, 2).reshape({4}).shape()), "[4]");
  try {
    x.data<float>();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("initialize(seed)"), std::string::npos);
  }
  EXPECT_THROW(x.clone(), Error);
  EXPECT_THROW(Array::zeros({4, 2}).copy_from(x), Error);
  EXPECT_THROW(x.copy_from(Array::zeros({4, 2})), Error);
}

TEST(Array, ImpossibleViewsAreErrors) {
  const Array x = counting({2, 3});
  EXPECT_THROW(x.reshape({4}), Error);
  EXPECT_THROW(x.reshape({-1, -1}), Error);
  EXPECT_THROW(x.reshape({-1, 4}), Error);
  EXPECT_THROW(x.narrow(1, 2, 2), Error);
  EXPECT_THROW(x.narrow(1, -1, 1), Error);
  EXPECT_THROW(x.narrow(1, 1, std::numeric_limits<std::int64_t>::max()), Error);
  EXPECT_THROW(x.select(2, 0), Error);
  EXPECT_THROW(x.broadcast_to({3, 3}), Error);
  EXPECT_THROW(x.broadcast_to({3}), Error);
  const int twice[] = {0, 0};
  EXPECT_THROW(x.permute(twice), Error);
  EXPECT_THROW(x.data<float>(), Error);
  EXPECT_THROW(x.transpose(0, 1).span<std::int64_t>(), Error);
  EXPECT_THROW(Array::from(std::vector<float>{1, 2}, {3}), Error);
  EXPECT_THROW(Array::over(Storage::allocate(8), 4, {2}, DType::f32), Error);
}

TEST(Array, ImpossibleSizesAreErrorsBeforeAnythingIsAllocated) {
  EXPECT_THROW(Array::empty({-1}), Error);
  EXPECT_THROW(Array::empty({-1, -1}), Error);
  EXPECT_THROW(Array::deferred({std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  EXPECT_THROW(Array::deferred({std::int64_t{1} << 62}), Error);
  EXPECT_EQ(Array::empty({0, 5}).count(), 0);
}

TEST(Array, DescribesItself) {
  EXPECT_EQ(describe(Array::zeros({2, 3}, DType::bf16)), "bf16[2, 3]");
  EXPECT_EQ(fmt::format("{}", Array::zeros({}, DType::i32)), "i32[]");
}

}  // namespace
}  // namespace trireme
