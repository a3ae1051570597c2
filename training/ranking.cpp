#include "trireme/training/ranking.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace trireme::training {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double area_under_curve(std::span<const float> scores, std::span<const float> labels) {
  std::vector<std::pair<float, bool>> items;
  items.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) {
      return kNaN;
    }
    items.emplace_back(scores[i], labels[i] > 0.5f);
  }
  std::ranges::sort(items, {}, &std::pair<float, bool>::first);
  std::uint64_t clicks = 0, views = 0;  // below the group of equal scores
  std::uint64_t halves = 0;             // twice the pairs won
  for (std::size_t begin = 0, end = 0; begin < items.size(); begin = end) {
    std::uint64_t group_clicks = 0;
    for (; end < items.size() && items[end].first == items[begin].first; ++end) {
      group_clicks += items[end].second ? 1 : 0;
    }
    const std::uint64_t group_views = end - begin - group_clicks;
    halves += group_clicks * (2 * views + group_views);
    clicks += group_clicks;
    views += group_views;
  }
  return clicks * views == 0 ? kNaN : static_cast<double>(halves) / (2 * static_cast<double>(clicks * views));
}

double mean_log_loss(std::span<const float> logits, std::span<const float> labels) {
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double x = logits[i];
    sum += std::max(x, 0.0) - x * static_cast<double>(labels[i]) + std::log1p(std::exp(-std::abs(x)));
  }
  return logits.empty() ? kNaN : sum / static_cast<double>(logits.size());
}

}  // namespace trireme::training
