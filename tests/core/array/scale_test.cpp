#include "trireme/core/array/scale.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(Scale, RoundsTheFactorOnceAndThenEachProduct) {
  const double factor = 1.0 / 3;
  const Array all = Array::from(std::vector<float>{1.5f, -7.25f, 0.1f, 3e-39f, 0.0f, 11.0f}, {6});
  const std::vector<float> before = all.to_vector<float>();
  scale(all.narrow(0, 1, 4), factor);
  const std::vector<float> after = all.to_vector<float>();
  EXPECT_EQ(after.front(), before.front());
  EXPECT_EQ(after.back(), before.back());
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(after[i], before[i] * static_cast<float>(factor)) << i;
  }
}

}  // namespace
}  // namespace trireme
