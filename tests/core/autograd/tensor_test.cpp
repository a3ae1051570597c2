// The tape: order, accumulation, leaves, buffers and hooks, with two tiny ops made here.
#include "trireme/core/autograd/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
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

TEST(Tensor, ALeafComputesWithABf16ValueWhileItsGradientStaysF32) {
  Tensor x = Tensor::leaf(Array::full({2}, 3));
  const Array master = x.array();
  const auto doubled = [](const Tensor& given) {
    return record("doubled", scaled(given.array().to(DType::f32), 2), {&given},
                  [](const Array& gradient, Gradients& gradients) { gradients.add(0, scaled(gradient, 2)); });
  };
  x.set_compute_value(master.to(DType::bf16));
  EXPECT_EQ(x.dtype(), DType::bf16);
  doubled(x).backward(Array::full({2}, 1));
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 2}));
  x.leaf_node().set_buffer(Array::zeros({2}));
  EXPECT_THROW(x.leaf_node().set_buffer(Array::zeros({2}, DType::bf16)), Error);
  x.set_compute_value(master);
  EXPECT_EQ(x.dtype(), DType::f32);
}

TEST(Tensor, AComputeValueOfAnotherShapeOrDtypeIsAnError) {
  Tensor x = scalar_leaf(1);
  EXPECT_THROW(x.set_compute_value(Array::zeros({2}, DType::bf16)), Error);
  EXPECT_THROW(x.set_compute_value(Array::zeros({1}, DType::f16)), Error);
  EXPECT_THROW(x.set_value(Array::zeros({1}, DType::bf16)), Error);
  EXPECT_THROW(scale(x, 2).set_compute_value(Array::zeros({1}, DType::bf16)), Error);
  Tensor wide = Tensor::leaf(Array::zeros({1}, DType::f64));
  EXPECT_THROW(wide.set_compute_value(Array::zeros({1}, DType::bf16)), Error);
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

// An op whose backward runs a forward pass again and walks it, with all that the walk reaches among its inputs.
Tensor recomputed(const Tensor& x, const Tensor& parameter) {
  Array value;
  {
    const NoGrad guard;
    value = sum_of(scale(x, 2), scale(parameter, 3)).array();
  }
  return record(
      "recomputed", std::move(value), {&x, &parameter},
      [x, parameter](const Array& gradient, Gradients&) {
        sum_of(scale(x, 2), scale(parameter, 3)).backward(gradient);
      },
      true);
}

TEST(Tensor, ALeafIsReadyAsSoonAsItsLastContributionIsMade) {
  std::vector<std::string> order;
  const auto told = [&order](const Tensor& x, const char* name) {
    return record("told", scaled(x.array(), 1), {&x}, [&order, name](const Array& gradient, Gradients& gradients) {
      order.push_back(name);
      gradients.add(0, gradient);
    });
  };
  Tensor lower = scalar_leaf(1);
  Tensor upper = scalar_leaf(2);
  lower.leaf_node().set_ready_hook([&] { order.push_back("lower's hook"); });
  upper.leaf_node().set_ready_hook([&] { order.push_back("upper's hook"); });
  const Tensor y = told(lower, "lower");
  sum_of(told(upper, "upper, first use"), sum_of(y, told(upper, "upper, second use"))).backward();
  EXPECT_EQ(order.size(), 5u);
  const auto place = [&](const char* what) { return std::find(order.begin(), order.end(), what) - order.begin(); };
  EXPECT_LT(place("upper, first use"), place("upper's hook"));
  EXPECT_LT(place("upper, second use"), place("upper's hook"));
  EXPECT_LT(place("upper's hook"), place("lower")) << "before the walk reaches what is below";
  EXPECT_EQ(place("lower's hook"), 4);
}

TEST(Tensor, APassInsideAnOpThatDidNotSaySoIsAnErrorThatNamesIt) {
  Tensor x = scalar_leaf(1);
  const Tensor secret = record("secret", scaled(x.array(), 1), {&x}, [](const Array& gradient, Gradients& gradients) {
    scale(scalar_leaf(1), 2).backward(gradient);
    gradients.add(0, gradient);
  });
  try {
    scale(secret, 2).backward();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("inside the backward of secret"), std::string::npos) << error.what();
  }
}

TEST(Tensor, APassInsideAPassReachesTheSameLeavesAndTheirHooksRunOnceAtTheEnd) {
  Tensor x = scalar_leaf(1);
  Tensor parameter = scalar_leaf(1);
  int calls = 0;
  Tensor y = recomputed(recomputed(x, parameter), parameter);
  // The inner gradients are 2 for the first op's parameter and 1 for the second's: 3 * (2 + 1) in total, then 5.
  parameter.leaf_node().set_ready_hook([&] { ++calls; });
  sum_of(scale(parameter, 5), y).backward();
  EXPECT_EQ(parameter.grad().item(), 3 * (2 + 1) + 5);
  EXPECT_EQ(x.grad().item(), 4);
  EXPECT_EQ(calls, 1);
}

TEST(Tensor, AfterAnErrorInBackwardTheNextPassIsClean) {
  Tensor x = scalar_leaf(2);
  const Tensor bad = record("bad", scaled(x.array(), 1), {&x},
                            [](const Array&, Gradients&) { fail("the gradient of this op is not to be had"); });
  EXPECT_THROW(sum_of(scale(bad, 3), scale(x, 4)).backward(), Error);
  x.zero_grad();
  scale(x, 3).backward();
  EXPECT_EQ(x.grad().item(), 3);
}

TEST(Tensor, GradientsThroughStridesAreSummedAndReachLeavesDense) {
  Tensor x = Tensor::leaf(Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}));
  Tensor y = scale(x, 1);
  const auto transposed = [](const Tensor& t) {
    return record("transposed", t.array().transpose(0, 1).contiguous(), {&t},
                  [](const Array& gradient, Gradients& gradients) { gradients.add(0, gradient.transpose(0, 1)); });
  };
  sum_of(transposed(y), transposed(y)).backward(Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2}));
  EXPECT_TRUE(x.grad().is_contiguous());
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 6, 10, 4, 8, 12}));
}

TEST(Tensor, AGradientOfTheWrongShapeOrDtypeIsAnErrorThatNamesTheOp) {
  Tensor x = scalar_leaf(2);
  const auto wrong = [&](const Array& gradient) {
    return record("wrong", scaled(x.array(), 1), {&x},
                  [gradient](const Array&, Gradients& gradients) { gradients.add(0, gradient); });
  };
  for (const Array& gradient : {Array::zeros({2}), Array::zeros({1}, DType::f64)}) {
    try {
      wrong(gradient).backward();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("wrong"), std::string::npos) << error.what();
    }
  }
}

TEST(Tensor, TheGradientOfALeafNeverSharesStorageWithAnything) {
  Tensor a = scalar_leaf(1);
  Tensor b = scalar_leaf(1);
  sum_of(a, b).backward();
  EXPECT_NE(a.grad().storage().get(), b.grad().storage().get());
}

TEST(Tensor, ATapeThatIsDroppedWithoutBackwardIsFreed) {
  const Array watched = Array::full({1}, 1);
  {
    Tensor x = Tensor::leaf(watched);
    Tensor y = x;
    for (int i = 0; i < 50000; ++i) {
      y = scale(y, 1);
    }
  }
  EXPECT_TRUE(watched.is_unique());
}

}  // namespace
}  // namespace trireme
