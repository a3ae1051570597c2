// Dropout: the mask as a pure function of the step, against Philox itself.
#include "trireme/core/ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/base/random.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;

std::vector<float> ones_after(double p, std::uint64_t instance, std::int64_t count = 1000) {
  return ops::dropout(Array::full({count}, 1), p, instance).array().to_vector<float>();
}

struct ContextGuard {
  StepContext before = step_context();
  ~ContextGuard() { step_context() = before; }
};

TEST(Dropout, GradientMatchesFiniteDifferencesBecauseTheMaskIsMadeAgain) {
  check_op([](const std::vector<Tensor>& in) { return ops::dropout(in[0], 0.4, 3); }, {random_array({5, 30}, 1)});
}

TEST(Dropout, MaskIsPhiloxOfSeedStepLeafAndInstance) {
  const ContextGuard guard;
  step_context().seed = 42;
  step_context().step = 7;
  step_context().leaf = 3;
  const std::uint64_t instance = 0x123456789abcdef0;
  char purpose[15] = "dropout";
  std::memcpy(purpose + 7, &instance, 8);
  const RandomStream stream(42, {purpose, 15}, 7, 3);
  const std::vector<float> y = ones_after(0.25, instance, 333);
  for (std::uint64_t e = 0; e < y.size(); ++e) {
    const std::uint64_t group = e / 64, word = e % 64 / 16, block = e % 16;
    const std::uint32_t bits = philox(stream.key(), group * 16 + block, stream.stream())[word];
    ASSERT_EQ(y[e], bits >= (1u << 30) ? static_cast<float>(1 / 0.75) : 0.0F) << e;
  }
}

TEST(Dropout, EachOfSeedStepLeafAndInstanceChangesTheMask) {
  const ContextGuard guard;
  const std::vector<float> base = ones_after(0.5, 1);
  EXPECT_EQ(ones_after(0.5, 1), base);
  EXPECT_NE(ones_after(0.5, 2), base);
  step_context().leaf += 1;
  EXPECT_NE(ones_after(0.5, 1), base);
  step_context() = guard.before;
  step_context().step += 1;
  EXPECT_NE(ones_after(0.5, 1), base);
  step_context() = guard.before;
  step_context().seed += 1;
  EXPECT_NE(ones_after(0.5, 1), base);
}

TEST(Dropout, ThreadsAndDtypeDoNotChangeTheMask) {
  const std::vector<float> alone = ones_after(0.3, 9, 50000);
  set_num_threads(3);
  EXPECT_EQ(ones_after(0.3, 9, 50000), alone);
  set_num_threads(1);
  EXPECT_EQ(ops::dropout(Array::full({50000}, 1, DType::f64), 0.3, 9).array().to_vector<float>(), alone);
}

TEST(Dropout, DropsTheAskedShareAndKeepsTheMean) {
  const std::vector<float> y = ones_after(0.1, 5, 200000);
  double zeros = 0;
  double sum = 0;
  for (const float value : y) {
    zeros += value == 0;
    sum += value;
  }
  EXPECT_NEAR(zeros / 200000, 0.1, 0.003);  // 4.5 standard deviations
  EXPECT_NEAR(sum / 200000, 1, 0.004);
}

TEST(Dropout, ProbabilitiesAtTheEnds) {
  EXPECT_EQ(ones_after(0, 1, 100), std::vector<float>(100, 1));
  EXPECT_EQ(ones_after(1, 1, 100), std::vector<float>(100, 0));
  EXPECT_EQ(ops::dropout(Array::zeros({0}), 0.5, 1).count(), 0);
  EXPECT_THROW(ones_after(1.5, 1), Error);
  EXPECT_THROW(ones_after(std::nan(""), 1), Error);
}

}  // namespace
}  // namespace trireme
