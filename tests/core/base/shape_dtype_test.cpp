// Shapes, broadcasting and dtypes: rules, texts and errors.
#include <gtest/gtest.h>

#include "trireme/core/base/dtype.h"
#include "trireme/core/base/shape.h"

namespace trireme {
namespace {

TEST(Shape, CountsAndNegativeDims) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.count(), 24);
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ((Shape{5, 0}).count(), 0);
  EXPECT_EQ(shape.at(-1), 4);
  EXPECT_EQ(shape.at(0), 2);
  EXPECT_EQ(shape.normalize(-3), 0);
  EXPECT_THROW(shape.at(3), Error);
  EXPECT_THROW(shape.at(-4), Error);
}

TEST(Shape, EqualityNeedsEqualDimsAndSizes) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
}

TEST(Shape, MoreDimsThanSupportedAreAnError) {
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6, 7}), Error);
  Shape full{1, 2, 3, 4, 5, 6};
  EXPECT_THROW(full.push_back(7), Error);
}

TEST(Shape, TextAndFormatAreTheSame) {
  EXPECT_EQ(to_string(Shape{2, 3}), "[2, 3]");
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(fmt::format("{}", Shape{7}), "[7]");
}

TEST(Shape, ContiguousStridesAreRowMajor) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (Shape{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({}), Shape{});
}

TEST(Shape, BroadcastingFollowsNumPy) {
  EXPECT_EQ(broadcast_shapes({8, 1, 6, 1}, {7, 1, 5}, "op"), (Shape{8, 7, 6, 5}));
  EXPECT_EQ(broadcast_shapes({}, {3}, "op"), Shape{3});
  EXPECT_EQ(broadcast_shapes({0}, {1}, "op"), Shape{0});
  EXPECT_EQ(broadcast_shapes({1}, {0, 1}, "op"), (Shape{0, 1}));
}

TEST(Shape, ShapesThatDoNotBroadcastAreAnErrorThatNamesOpAndBoth) {
  try {
    broadcast_shapes({2, 3}, {4}, "add");
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("add"), std::string::npos);
    EXPECT_NE(text.find("[2, 3]"), std::string::npos);
    EXPECT_NE(text.find("[4]"), std::string::npos);
  }
}

constexpr DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                          DType::i64, DType::i32, DType::u8,   DType::boolean};

TEST(DType, NamesGoThereAndBackAndSizesMatchTheTypes) {
  for (const DType dtype : kAll) {
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
    dispatch_all(dtype, [&](auto tag) {
      EXPECT_EQ(size_of(dtype), sizeof(tag));
      EXPECT_EQ(dtype_of<decltype(tag)>, dtype);
    });
  }
}

TEST(DType, UnknownNamesAreAnErrorThatListsTheValidOnes) {
  try {
    dtype_from_name("float32");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("bf16"), std::string::npos);
  }
}

TEST(DType, OnlyTheFourFloatingTypesAreFloating) {
  int floating = 0;
  for (const DType dtype : kAll) {
    floating += is_floating(dtype) ? 1 : 0;
  }
  EXPECT_EQ(floating, 4);
  EXPECT_FALSE(is_floating(DType::u8));
}

TEST(DType, KernelsAreOnlyDispatchedForRealTypes) {
  EXPECT_EQ(dispatch_real(DType::f64, "op", [](auto tag) { return sizeof(tag); }), 8u);
  EXPECT_THROW(dispatch_real(DType::bf16, "op", [](auto tag) { return sizeof(tag); }), Error);
}

}  // namespace
}  // namespace trireme
