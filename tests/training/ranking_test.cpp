// AUC by counting pairs, and log loss.
#include "trireme/training/ranking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace trireme::training {
namespace {

double by_pairs(const std::vector<float>& scores, const std::vector<float>& labels) {
  double won = 0, pairs = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (labels[i] == 1 && labels[j] == 0) {
        ++pairs;
        won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      }
    }
  }
  return won / pairs;
}

TEST(AreaUnderCurve, IsTheShareOfPairsWonTiesCountingHalf) {
  std::mt19937 random(3);
  for (const int values : {2, 7, 1000}) {  // few values: many ties
    std::vector<float> scores, labels;
    for (int i = 0; i < 300; ++i) {
      scores.push_back(static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(values)) - 3) / 7);
      labels.push_back(random() % 4 == 0 ? 1.0f : 0.0f);
    }
    EXPECT_EQ(area_under_curve(scores, labels), by_pairs(scores, labels));
    std::vector<float> backward(scores.rbegin(), scores.rend()), of_backward(labels.rbegin(), labels.rend());
    EXPECT_EQ(area_under_curve(backward, of_backward), area_under_curve(scores, labels)) << "order matters";
  }
}

TEST(AreaUnderCurve, OfEdgeCases) {
  const std::vector<float> labels{0, 0, 1, 1};
  EXPECT_EQ(area_under_curve(std::vector<float>{-2, -1, 1, 2}, labels), 1);
  EXPECT_EQ(area_under_curve(std::vector<float>{2, 1, -1, -2}, labels), 0);
  EXPECT_EQ(area_under_curve(std::vector<float>{0.0f, -0.0f, 0.0f, -0.0f}, labels), 0.5);
  EXPECT_TRUE(std::isnan(area_under_curve(std::vector<float>{1, 2}, std::vector<float>{1, 1})));
  EXPECT_TRUE(std::isnan(area_under_curve({}, {})));
  EXPECT_TRUE(std::isnan(area_under_curve(std::vector<float>{1, NAN}, std::vector<float>{1, 0})));
}

TEST(MeanLogLoss, IsTheFormulaAndDoesNotOverflow) {
  const std::vector<float> logits{0.5f, -1.25f, 3}, labels{1, 0, 0};
  double expected = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const double click = 1 / (1 + std::exp(-static_cast<double>(logits[i])));
    expected -= std::log(labels[i] == 1 ? click : 1 - click) / 3;
  }
  EXPECT_NEAR(mean_log_loss(logits, labels), expected, 1e-14);
  EXPECT_EQ(mean_log_loss(std::vector<float>{1000}, std::vector<float>{0}), 1000);
  EXPECT_EQ(mean_log_loss(std::vector<float>{1000}, std::vector<float>{1}), 0);
  EXPECT_TRUE(std::isnan(mean_log_loss({}, {})));
}

}  // namespace
}  // namespace trireme::training
