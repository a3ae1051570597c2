#include "trireme/core/ops/linear.h"

#include <gtest/gtest.h>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

Tensor out_in(const std::vector<Tensor>& in) { return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor()); }
Tensor in_out(const std::vector<Tensor>& in) {
  return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), WeightLayout::in_out);
}

TEST(Linear, GradientsAndStridesAreRightInBothLayouts) {
  const Array x = random_array({2, 3, 5}, 1);
  test::check_op(out_in, {x, random_array({4, 5}, 2), random_array({4}, 3)});
  test::check_op(in_out, {x, random_array({5, 4}, 2), random_array({4}, 3)});
  test::check_op(out_in, {x, random_array({4, 5}, 2)});
  test::check_op(in_out, {random_array({5}, 1), random_array({5, 4}, 2)});
}

TEST(Linear, BothLayoutsGiveTheSameBits) {
  const Array x = random_array({33, 66}, 1).to(DType::f32);
  const Array w = random_array({66, 257}, 2).to(DType::f32);
  const Array b = random_array({257}, 3).to(DType::f32);
  test::expect_same_bits(linear(x, w, b, WeightLayout::in_out).array(), linear(x, w.transpose(0, 1), b).array(),
                         "result");
}

TEST(Linear, BitsDoNotDependOnThreads) {
  test::expect_same_bits_for_any_threads(
      in_out, {random_array({150, 66}, 1), random_array({66, 257}, 2), random_array({257}, 3)});
}

TEST(Linear, TheGradientIsWrittenIntoTheBufferOfTheLeafAndAddedOntoASecondTime) {
  Tensor x(random_array({3, 4}, 1).to(DType::f32));
  Tensor w = Tensor::leaf(random_array({2, 4}, 2).to(DType::f32));
  Tensor b = Tensor::leaf(Array::zeros({2}));
  const Array buffer = Array::full({2, 4}, 7);
  w.leaf_node().set_buffer(buffer);
  linear(x, w, b).backward(Array::full({3, 2}, 1));
  EXPECT_EQ(w.grad().bytes_data(), buffer.bytes_data());
  const std::vector<float> once = buffer.to_vector<float>();
  linear(x, w, b).backward(Array::full({3, 2}, 1));
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_FLOAT_EQ(buffer.data<float>()[i], 2 * once[i]);
  }
  EXPECT_EQ(b.grad().to_vector<float>(), (std::vector<float>{6, 6}));
}

TEST(Linear, AnEmptyBatchGivesZeroGradients) {
  const std::vector<Array> out =
      test::run_op(out_in, {Array::zeros({0, 4}, DType::f64), random_array({3, 4}, 1), random_array({3}, 2)});
  EXPECT_EQ(out[0].size(0), 0);
  EXPECT_EQ(out[2].to_vector<float>(), std::vector<float>(12, 0.0f));
  EXPECT_EQ(out[3].to_vector<float>(), std::vector<float>(3, 0.0f));
}

TEST(Linear, WrongShapesAreNamed) {
  const Array x = Array::zeros({2, 4});
  EXPECT_NE(test::error_of([&] {
              linear(x, Array::zeros({3, 5}), Tensor());
            }).find("f32[.., 5] expected"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] {
              linear(x, Array::zeros({3, 4}), Array::zeros({4}));
            }).find("bias f32[4] given"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { linear(x, Array::zeros({4}), Tensor()); }).find("two dims expected"),
            std::string::npos);
}

}  // namespace
}  // namespace trireme::ops
