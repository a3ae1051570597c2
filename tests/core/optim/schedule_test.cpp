#include "trireme/core/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "trireme/core/base/error.h"

namespace trireme::optim {
namespace {

TEST(Schedule, ConstantAfterALinearWarmUp) {
  const Schedule rate{.peak = 4, .warmup_steps = 4};
  EXPECT_EQ(rate(0), 1);
  EXPECT_EQ(rate(2), 3);
  EXPECT_EQ(rate(3), 4);
  EXPECT_EQ(rate(1000), 4);
}

TEST(Schedule, CosineFallsFromPeakToFinal) {
  const Schedule rate{.kind = Schedule::Kind::cosine, .peak = 2, .final = 1, .warmup_steps = 10, .total_steps = 110};
  EXPECT_EQ(rate(10), 2);
  EXPECT_DOUBLE_EQ(rate(35), 1 + 0.5 * (1 + std::cos(std::numbers::pi / 4)));
  EXPECT_DOUBLE_EQ(rate(60), 1.5);
  EXPECT_EQ(rate(110), 1);
  EXPECT_EQ(rate(500), 1);
}

TEST(Schedule, LinearFallsEvenly) {
  const Schedule rate{.kind = Schedule::Kind::linear, .peak = 1, .total_steps = 10};
  EXPECT_EQ(rate(0), 1);
  EXPECT_DOUBLE_EQ(rate(3), 0.7);
  EXPECT_EQ(rate(10), 0);
}

TEST(Schedule, StepsDownByAFactor) {
  const Schedule rate{.kind = Schedule::Kind::step, .peak = 1, .warmup_steps = 2, .step_every = 3, .step_factor = 0.5};
  EXPECT_EQ(rate(4), 1);
  EXPECT_EQ(rate(5), 0.5);
  EXPECT_EQ(rate(8), 0.25);
  EXPECT_THROW((Schedule{.kind = Schedule::Kind::step, .step_every = 0})(0), Error);
}

TEST(Schedule, WarmUpAsLongAsTheRunNeverDividesByZero) {
  const Schedule rate{.kind = Schedule::Kind::cosine, .peak = 2, .warmup_steps = 5, .total_steps = 5};
  EXPECT_EQ(rate(4), 2);
  EXPECT_EQ(rate(5), 0);
}

}  // namespace
}  // namespace trireme::optim
