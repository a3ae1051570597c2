// The tape: order, accumulation, leaves, buffers and hooks, with two tiny ops made here.
#include "trireme/core/autograd/tensor.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "trireme/core/autograd/step_owner.h"

namespace trireme {
namespace {

Array scaled(const Array& x, double factor) {
  Array out = Array::empty(x.shape());
  for (std::int64_t i = 0; i < x.count(); ++i) {
    out.data<float>()[i] = static_cast<float>(factor) * x.data<float>()[i];
  }
  return out;
}

Tensor scale(const Tensor& x, double factor) {
  return record("scale", scaled(x.array(), factor), {&x},
                [factor](const Array& gradient, Gradients& gradients) { gradients.add(0, scaled(gradient, factor)); });
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  Array out = a.array().clone();
  for (std::int64_t i = 0; i < out.count(); ++i) {
    out.data<float>()[i] += b.array().data<float>()[i];
  }
  return record("sum_of", std::move(out), {&a, &b}, [](const Array& gradient, Gradients& gradients) {
    gradients.add(0, gradient);
    gradients.add(1, gradient);
  });
}

Tensor scalar_leaf(float value) { return Tensor::leaf(Array::full({1}, value)); }

TEST(Tensor, GradientsOfSharedInputsAreSummed) {
  Tensor x = scalar_leaf(2);
  Tensor y = sum_of(scale(x, 3), sum_of(x, scale(x, 5)));
  y.backward();
  EXPECT_EQ(x.grad().item(), 9.0);
}

TEST(Tensor, TwoInputsThatShareOneGradientArrayDoNotDisturbEachOther) {
  Tensor a = scalar_leaf(1);
  Tensor b = scalar_leaf(1);
  Tensor left = scale(a, 2);
  Tensor both = sum_of(left, scale(b, 7));
  sum_of(both, left).backward();
  EXPECT_EQ(a.grad().item(), 4.0);
  EXPECT_EQ(b.grad().item(), 7.0);
}

TEST(Tensor, SecondBackwardAccumulatesUntilZeroGrad) {
  Tensor x = scalar_leaf(2);
  scale(x, 3).backward();
  scale(x, 3).backward();
  EXPECT_EQ(x.grad().item(), 6.0);
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Tensor, AFreedTapeIsAnErrorThatNamesTheOp) {
  Tensor y = scale(scalar_leaf(2), 3);
  y.backward();
  try {
    y.backward();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("scale"), std::string::npos);
  }
}

TEST(Tensor, NoGradRecordsNothing) {
  Tensor x = scalar_leaf(2);
  const NoGrad guard;
  EXPECT_FALSE(scale(x, 2).requires_grad());
}

TEST(Tensor, FrozenLeavesGetNoGradientAndThawAgain) {
  Tensor x = scalar_leaf(2);
  Tensor y = scalar_leaf(3);
  x.set_requires_grad(false);
  sum_of(x, y).backward();
  EXPECT_FALSE(x.grad().defined());
  x.set_requires_grad(true);
  scale(x, 2).backward();
  EXPECT_EQ(x.grad().item(), 2.0);
}

TEST(Tensor, LeafBufferReceivesTheGradientAndTheHookRunsOnceAfterTheLastContribution) {
  Tensor x = scalar_leaf(2);
  const Array buffer = Array::full({1}, -1);
  int calls = 0;
  x.leaf_node().set_buffer(buffer);
  x.leaf_node().set_ready_hook([&] {
    ++calls;
    EXPECT_EQ(buffer.item(), 8.0);
  });
  sum_of(scale(x, 3), scale(x, 5)).backward();
  EXPECT_EQ(calls, 1);
}

struct QuarterOwner final : StepOwner {
  double begin_backward(const Array& loss, double weight, bool) override {
    seen = {loss.item(), weight};
    return 0.25;
  }
  void run_idle_step() override {}
  std::pair<double, double> seen;
};

TEST(Tensor, TheOwnerOfTheStepIsToldTheLossAndSaysWhereTheWalkStarts) {
  QuarterOwner owner;
  Tensor x = scalar_leaf(2);
  step_context().owner = &owner;
  scale(x, 2).set_weight(12, false).backward();
  step_context().owner = nullptr;
  EXPECT_EQ(x.grad().item(), 0.5);
  EXPECT_EQ(owner.seen, (std::pair<double, double>{4.0, 12.0}));
}

TEST(Tensor, AChainOfAHundredThousandOpsNeitherOverflowsNorLeaks) {
  Tensor x = scalar_leaf(1);
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) {
    y = scale(y, 1);
  }
  y.backward();
  EXPECT_EQ(x.grad().item(), 1.0);
}

}  // namespace
}  // namespace trireme
