// Each optimizer against values that PyTorch's own one gave (pytorch_values.py made them).
#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/optim/pytorch_values.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adam.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::optim {
namespace {

void expect_as_pytorch(Optimizer& optimizer, const std::string& name) {
  const std::vector<double>& expected = kPyTorchValues.at(name);
  const auto count = static_cast<std::int64_t>(expected.size());
  const Array value = Array::empty({count}), gradient = Array::empty({count});
  for (std::int64_t i = 0; i < count; ++i) {
    value.data<float>()[i] = static_cast<float>(std::cos(1.3 * static_cast<double>(i)));
  }
  optimizer.attach({Slot{"w", {count}, 0, false, value, {}}});
  for (int step = 0; step < 6; ++step) {
    for (std::int64_t i = 0; i < count; ++i) {
      gradient.data<float>()[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i) + step));
    }
    optimizer.update({gradient});
  }
  for (std::int64_t i = 0; i < count; ++i) {
    EXPECT_NEAR(value.data<float>()[i], expected[static_cast<std::size_t>(i)], 1e-6) << name << ", element " << i;
  }
}

TEST(PyTorch, SgdMovesAsPyTorchs) {
  SGD plain({.lr = 0.1, .weight_decay = 0.03});
  expect_as_pytorch(plain, "sgd");
  SGD momentum({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.03});
  expect_as_pytorch(momentum, "sgd_momentum");
  SGD nesterov({.lr = 0.1, .momentum = 0.8, .nesterov = true});
  expect_as_pytorch(nesterov, "sgd_nesterov");
}

TEST(PyTorch, AdamMovesAsPyTorchs) {
  Adam adam({.lr = 0.01, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1});
  expect_as_pytorch(adam, "adam");
}

TEST(PyTorch, AdamWMovesAsPyTorchs) {
  AdamW adamw({.lr = 0.01, .weight_decay = 0.1});
  expect_as_pytorch(adamw, "adamw");
}

TEST(PyTorch, AdagradMovesAsPyTorchs) {
  Adagrad adagrad({.lr = 0.1, .eps = 1e-8, .weight_decay = 0.02});
  expect_as_pytorch(adagrad, "adagrad");
}

}  // namespace
}  // namespace trireme::optim
