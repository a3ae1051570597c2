#include "trireme/training/early_stopping.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trireme::training {
namespace {

TEST(EarlyStopping, StopsAfterPatienceLooksWithoutImprovement) {
  EarlyStopping stopping({.patience = 2});
  EXPECT_FALSE(stopping.should_stop(3));
  EXPECT_FALSE(stopping.should_stop(2));
  EXPECT_FALSE(stopping.should_stop(2));
  EXPECT_TRUE(stopping.should_stop(2.5));
  EXPECT_EQ(stopping.best(), 2);
}

TEST(EarlyStopping, AnImprovementStartsTheCountAnew) {
  EarlyStopping stopping({.patience = 2});
  for (const double loss : {3.0, 4.0, 2.0, 4.0}) {
    EXPECT_FALSE(stopping.should_stop(loss));
  }
  EXPECT_TRUE(stopping.should_stop(4.0));
}

TEST(EarlyStopping, SmallStepsAreNoImprovement) {
  EarlyStopping stopping({.patience = 1, .min_delta = 0.1});
  EXPECT_FALSE(stopping.should_stop(1.0));
  EXPECT_TRUE(stopping.should_stop(0.95));
}

TEST(EarlyStopping, AccuracyGrows) {
  EarlyStopping stopping({.patience = 1, .larger_is_better = true});
  EXPECT_FALSE(stopping.should_stop(0.5));
  EXPECT_FALSE(stopping.should_stop(0.6));
  EXPECT_TRUE(stopping.should_stop(0.6));
}

TEST(EarlyStopping, GoesOnFromWhatAnEarlierRunHasSeen) {
  EarlyStopping before({.patience = 2});
  EXPECT_FALSE(before.should_stop(1));
  EXPECT_FALSE(before.should_stop(3));
  EarlyStopping after({.patience = 2}, before.seen());
  EXPECT_FALSE(after.exhausted());
  EXPECT_TRUE(after.should_stop(2));
  EXPECT_TRUE(EarlyStopping({.patience = 2}, after.seen()).exhausted());
  EXPECT_FALSE(EarlyStopping({.patience = 5}, after.seen()).exhausted()) << "more patience was given";
}

TEST(EarlyStopping, NotANumberIsNeverAnImprovement) {
  EarlyStopping stopping({.patience = 3});
  EXPECT_FALSE(stopping.should_stop(std::nan("")));
  EXPECT_FALSE(stopping.should_stop(1.0));
  EXPECT_FALSE(stopping.should_stop(std::nan("")));
  EXPECT_FALSE(stopping.should_stop(std::nan("")));
  EXPECT_TRUE(stopping.should_stop(std::nan("")));
}

TEST(EarlyStopping, WithoutPatienceItNeverStops) {
  EarlyStopping stopping({.patience = 0});
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(stopping.should_stop(1.0));
  }
}

}  // namespace
}  // namespace trireme::training
