// Each update rule against a float64 loop written from its textbook formula, over several steps and a clipping factor.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adam.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::optim {
namespace {

constexpr std::int64_t kCount = 37;
constexpr int kSteps = 12;
constexpr double kScale = 0.37;

double gradient_of(int step, std::int64_t i) {
  return std::sin(0.7 * static_cast<double>(i) + step) * (i % 5 == 0 ? 1e-4 : 1);
}
double start_of(std::int64_t i) { return std::cos(1.3 * static_cast<double>(i)); }

// One step of the oracle: the scaled gradient, the element's value and two numbers of state, t from 1.
using Rule = std::function<void(double g, double& x, double& a, double& b, int t)>;

void expect_follows(Optimizer& optimizer, const Rule& rule, const Shape& shape = {kCount}) {
  const Array value = Array::empty({kCount});
  for (std::int64_t i = 0; i < kCount; ++i) {
    value.data<float>()[i] = static_cast<float>(start_of(i));
  }
  optimizer.attach({Slot{"w", shape, 0, false, value, {}}});
  std::vector<double> x(kCount), a(kCount), b(kCount);
  for (std::int64_t i = 0; i < kCount; ++i) {
    x[static_cast<std::size_t>(i)] = static_cast<float>(start_of(i));
  }
  for (int step = 0; step < kSteps; ++step) {
    const Array gradient = Array::empty({kCount});
    for (std::int64_t i = 0; i < kCount; ++i) {
      const auto k = static_cast<std::size_t>(i);
      gradient.data<float>()[i] = static_cast<float>(gradient_of(step, i));
      rule(kScale * gradient.data<float>()[i], x[k], a[k], b[k], step + 1);
    }
    optimizer.update({gradient}, kScale);
    for (std::int64_t i = 0; i < kCount; ++i) {
      ASSERT_NEAR(value.data<float>()[i], x[static_cast<std::size_t>(i)], 2e-6) << "step " << step << ", element " << i;
    }
  }
}

TEST(UpdateRule, SgdWithoutMomentum) {
  SGD optimizer({.lr = 0.1, .weight_decay = 0.03});
  expect_follows(optimizer, [](double g, double& x, double&, double&, int) { x -= 0.1 * (g + 0.03 * x); });
}

TEST(UpdateRule, SgdWithMomentum) {
  SGD optimizer({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.03});
  expect_follows(optimizer, [](double g, double& x, double& buffer, double&, int) {
    buffer = 0.9 * buffer + g + 0.03 * x;
    x -= 0.1 * buffer;
  });
}

TEST(UpdateRule, SgdWithNesterovMomentum) {
  SGD optimizer({.lr = 0.1, .momentum = 0.8, .nesterov = true});
  expect_follows(optimizer, [](double g, double& x, double& buffer, double&, int) {
    buffer = 0.8 * buffer + g;
    x -= 0.1 * (g + 0.8 * buffer);
  });
}

Rule adam_rule(double lr, double beta1, double beta2, double eps, double l2, double decay) {
  return [=](double g, double& x, double& m, double& v, int t) {
    g += l2 * x;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double m_hat = m / (1 - std::pow(beta1, t));
    const double v_hat = v / (1 - std::pow(beta2, t));
    x = x - lr * decay * x - lr * m_hat / (std::sqrt(v_hat) + eps);
  };
}

TEST(UpdateRule, Adam) {
  Adam optimizer({.lr = 0.01, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1});
  expect_follows(optimizer, adam_rule(0.01, 0.8, 0.99, 1e-6, 0.1, 0));
}

TEST(UpdateRule, AdamW) {
  AdamW optimizer({.lr = 0.01, .weight_decay = 0.1});
  expect_follows(optimizer, adam_rule(0.01, 0.9, 0.999, 1e-8, 0, 0.1));
}

TEST(UpdateRule, AdamWDecaysOnlyParametersOfEnoughDims) {
  const AdamWOptions options{.lr = 0.01, .weight_decay = 0.5, .decay_min_dims = 2};
  AdamW vector(options);
  expect_follows(vector, adam_rule(0.01, 0.9, 0.999, 1e-8, 0, 0));
  AdamW matrix(options);
  expect_follows(matrix, adam_rule(0.01, 0.9, 0.999, 1e-8, 0, 0.5), {kCount, 1});
}

TEST(UpdateRule, Adagrad) {
  Adagrad optimizer({.lr = 0.1, .eps = 1e-8, .weight_decay = 0.02});
  expect_follows(optimizer, [](double g, double& x, double& sum, double&, int) {
    g += 0.02 * x;
    sum += g * g;
    x -= 0.1 * g / (std::sqrt(sum) + 1e-8);
  });
}

TEST(UpdateRule, RowwiseAdagradKeepsOneSumARow) {
  constexpr std::int64_t kRows = 6, kDim = 19;
  RowwiseAdagrad optimizer({.lr = 0.1, .eps = 1e-8});
  const Array value = Array::zeros({kRows * kDim});
  optimizer.attach({Slot{"table", {kRows, kDim}, 0, true, value, {}}});
  ASSERT_EQ(optimizer.slots()[0].state[0].shape(), Shape{kRows});
  std::vector<double> x(kRows * kDim), sums(kRows);
  for (int step = 0; step < kSteps; ++step) {
    const Array gradient = Array::zeros({kRows * kDim});
    for (std::int64_t row = step % 2; row < kRows; row += 2) {
      double squares = 0;
      for (std::int64_t i = 0; i < kDim; ++i) {
        gradient.data<float>()[row * kDim + i] = static_cast<float>(gradient_of(step, row * kDim + i));
        squares += std::pow(gradient.data<float>()[row * kDim + i], 2);
      }
      sums[static_cast<std::size_t>(row)] += squares / kDim;
      for (std::int64_t i = 0; i < kDim; ++i) {
        x[static_cast<std::size_t>(row * kDim + i)] -=
            0.1 * gradient.data<float>()[row * kDim + i] / (std::sqrt(sums[static_cast<std::size_t>(row)]) + 1e-8);
      }
    }
    std::vector<std::int64_t> touched;
    std::vector<float> values;
    for (std::int64_t row = step % 2; row < kRows; row += 2) {
      touched.push_back(row);
      const float* const first = gradient.data<float>() + row * kDim;
      values.insert(values.end(), first, first + kDim);
    }
    const auto count = static_cast<std::int64_t>(touched.size());
    optimizer.update({SparseRows{Array::from(touched, {count}), Array::from(values, {count, kDim})}});
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(value.to_vector<float>()[i], x[i], 2e-6);
  }
}

TEST(UpdateRule, ALateChangeOfTheLearningRateHolds) {
  SGD optimizer({.lr = 1});
  const Array value = Array::zeros({1});
  optimizer.attach({Slot{"w", {1}, 0, false, value, {}}});
  optimizer.set_learning_rate(0.25);
  optimizer.update({Array::full({1}, 1)});
  EXPECT_EQ(value.item(), -0.25);
}

}  // namespace
}  // namespace trireme::optim
