// Rearrangements: gradients, views that share storage, joins and cuts.
#include "trireme/core/ops/view.h"

#include <gtest/gtest.h>

#include "tests/support/op_check.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/reduce.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

TEST(View, GradientsMatchFiniteDifferences) {
  const Array x = random_array({2, 3, 4}, 1);
  check_op([](const Inputs& in) { return ops::reshape(in[0], {4, -1}); }, {x});
  check_op([](const Inputs& in) { return ops::flatten(in[0], 1); }, {x});
  check_op([](const Inputs& in) { return ops::transpose(in[0], 0, -1); }, {x});
  check_op([](const Inputs& in) { return ops::permute(in[0], {1, 2, 0}); }, {x});
  check_op([](const Inputs& in) { return ops::permute(in[0], {-1, 0, 1}); }, {x});
  check_op([](const Inputs& in) { return ops::narrow(in[0], 1, 1, 2); }, {x});
  check_op([](const Inputs& in) { return ops::select(in[0], -1, 3); }, {x});
  check_op([](const Inputs& in) { return ops::broadcast_to(in[0], {5, 2, 3, 4}); }, {x});
  check_op([](const Inputs& in) { return ops::broadcast_to(in[0], {3, 4}); }, {random_array({3, 1}, 2)});
  check_op([](const Inputs& in) { return ops::contiguous(ops::transpose(in[0], 0, 1)); }, {x});
}

TEST(View, JoinsHaveTheGradientsOfTheirParts) {
  const Array a = random_array({2, 3}, 1);
  const Array b = random_array({2, 1}, 2);
  const Array c = random_array({2, 4}, 3);
  check_op([](const Inputs& in) { return ops::concat(in, 1); }, {a, b, c});
  check_op([](const Inputs& in) { return ops::stack(in, 1); }, {a, random_array({2, 3}, 4)});
  check_op([](const Inputs& in) { return ops::stack(in, -1); }, {a, random_array({2, 3}, 4)});
}

TEST(View, MoreTensorsThanANodeHoldsAreJoinedInOrder) {
  std::vector<Array> parts;
  std::vector<double> expected;
  for (int i = 0; i < 15; ++i) {
    parts.push_back(Array::full({1}, i, DType::f64));
    expected.push_back(i);
  }
  const std::vector<Tensor> tensors(parts.begin(), parts.end());
  EXPECT_EQ(ops::concat(tensors, 0).array().to_vector<double>(), expected);
  check_op([](const Inputs& in) { return ops::concat(in, 0); }, parts);
}

TEST(View, SplitPiecesAddUpInOneGradient) {
  const Array x = random_array({2, 7}, 5);
  check_op(
      [](const Inputs& in) {
        const std::vector<Tensor> pieces = ops::split(in[0], 3, 1);
        EXPECT_EQ(pieces.size(), 3u);
        EXPECT_EQ(pieces[2].size(1), 1);
        return pieces[0] * pieces[1] + pieces[2];
      },
      {x});
}

TEST(View, APartUsedBesideTheWholeGetsBothGradients) {
  Tensor x = Tensor::leaf(Array::full({4}, 1));
  Tensor y = x * 2;
  (ops::sum(ops::narrow(y, 0, 1, 2)) + ops::sum(y) + ops::sum(ops::narrow(y, 0, 2, 2))).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 4, 6, 4}));
}

TEST(View, ViewsShareTheElementsOfTheirInput) {
  const Tensor x(random_array({3, 4}, 6));
  for (const Tensor& view : {ops::reshape(x, {12}), ops::transpose(x, 0, 1), ops::narrow(x, 0, 1, 1),
                             ops::select(x, 1, 2), ops::broadcast_to(x, {2, 3, 4}), ops::contiguous(x)}) {
    EXPECT_EQ(view.array().storage().get(), x.array().storage().get());
  }
}

TEST(View, GradientsThatArriveThroughStridesAreAddedCorrectly) {
  Tensor x = Tensor::leaf(random_array({3, 4}, 7));
  Tensor y = x * 1.0;
  const Tensor both = ops::transpose(y, 0, 1) * ops::transpose(y, 0, 1);
  (ops::sum(both) + ops::sum(ops::transpose(y, 0, 1))).backward();
  for (int i = 0; i < 12; ++i) {
    EXPECT_NEAR(x.grad().data<double>()[i], 2 * x.array().data<double>()[i] + 1, 1e-13);
  }
}

TEST(View, EmptyTensorsAndScalars) {
  EXPECT_EQ(to_string(ops::flatten(Array::zeros({}), 0).shape()), "[1]");
  EXPECT_EQ(to_string(ops::flatten(Array::zeros({2, 0, 3}), 1).shape()), "[2, 0]");
  EXPECT_EQ(to_string(ops::concat({Array::zeros({0, 2}), Array::zeros({3, 2})}, 0).shape()), "[3, 2]");
  EXPECT_TRUE(ops::split(Array::zeros({0, 2}), 4, 0).empty());
}

TEST(View, WrongInputsAreErrors) {
  const Tensor x(Array::zeros({2, 3}));
  EXPECT_THROW(ops::reshape(x, {4, 2}), Error);
  EXPECT_THROW(ops::narrow(x, 1, 2, 2), Error);
  EXPECT_THROW(ops::select(x, 0, 2), Error);
  EXPECT_THROW(ops::select(x, 0, -1), Error);
  EXPECT_THROW(ops::concat({x, Array::zeros({2, 4})}, 0), Error);
  EXPECT_THROW(ops::concat({x, Array::zeros({2, 3}, DType::f64)}, 0), Error);
  EXPECT_THROW(ops::concat(std::span<const Tensor>(), 0), Error);
  EXPECT_THROW(ops::stack({x, Array::zeros({3, 2})}, 0), Error);
  EXPECT_THROW(ops::stack({x}, 4), Error);
  EXPECT_THROW(ops::split(x, 0, 0), Error);
}

}  // namespace
}  // namespace trireme
