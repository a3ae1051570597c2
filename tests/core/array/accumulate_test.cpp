#include "trireme/core/array/accumulate.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

// Small integers, exact in every dtype.
Array pattern(std::int64_t count, std::int64_t factor, DType dtype) {
  Array out = Array::empty({count}, DType::i64);
  for (std::int64_t i = 0; i < count; ++i) {
    out.data<std::int64_t>()[i] = i * factor % 23;
  }
  return out.to(dtype);
}

TEST(Accumulate, AddsEveryNumericType) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8}) {
    for (const std::int64_t count : {0, 1, 3, 16, 17, 67, 200}) {
      const Array target = pattern(count, 3, dtype);
      accumulate(target, pattern(count, 7, dtype));
      const std::vector<std::int64_t> got = target.to_vector<std::int64_t>();
      for (std::int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(got[static_cast<std::size_t>(i)], i * 3 % 23 + i * 7 % 23) << name_of(dtype) << " " << count;
      }
    }
  }
}

TEST(Accumulate, IntegersWrapAround) {
  const Array target = Array::from(std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::max()}, {1});
  accumulate(target, Array::from(std::vector<std::int32_t>{1}, {1}));
  EXPECT_EQ(target.to_vector<std::int32_t>()[0], std::numeric_limits<std::int32_t>::min());
}

TEST(Accumulate, BitsDependNeitherOnPositionNorOnLengthNorOnThreads) {
  const std::int64_t count = 200000;
  Array a = Array::empty({count});
  Array b = Array::empty({count});
  for (std::int64_t i = 0; i < count; ++i) {
    a.data<float>()[i] = 1.0f / static_cast<float>(i + 1);
    b.data<float>()[i] = 1.0f / static_cast<float>(i * i + 3);
  }
  const Array whole = a.clone();
  accumulate(whole, b);
  for (std::int64_t start = 0; start < 40; ++start) {
    for (const std::int64_t length : {1, 15, 33}) {
      const Array part = a.narrow(0, start, length).clone();
      accumulate(part, b.narrow(0, start, length));
      ASSERT_EQ(part.to_vector<float>(), whole.narrow(0, start, length).to_vector<float>());
    }
  }
  for (const int threads : {2, 3}) {
    const Array again = a.clone();
    set_num_threads(threads);
    accumulate(again, b);
    set_num_threads(1);
    ASSERT_EQ(again.to_vector<float>(), whole.to_vector<float>());
  }
}

TEST(Accumulate, TouchesNothingOutsideOfTheSlice) {
  const Array target = Array::full({64}, 1);
  accumulate(target.narrow(0, 5, 19), Array::full({19}, 1));
  const std::vector<float> got = target.to_vector<float>();
  for (std::size_t i = 0; i < 64; ++i) {
    ASSERT_EQ(got[i], i >= 5 && i < 24 ? 2.0f : 1.0f);
  }
}

TEST(Accumulate, DifferentShapesAreAnError) {
  EXPECT_THROW(accumulate(Array::zeros({3}), Array::zeros({4})), Error);
  EXPECT_THROW(accumulate(Array::zeros({3}), Array::zeros({3}, DType::f64)), Error);
}

}  // namespace
}  // namespace trireme
