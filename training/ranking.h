// How well scores tell clicks from views. Pure.
#pragma once

#include <span>

namespace trireme::training {

// The area under the ROC curve, exactly: the share of all pairs (click, view) in which the click has the higher score,
// pairs with equal scores counting half. Pairs are counted in integers, so the order of the items does not matter. A
// label above 0.5 is a click. NaN if there are no pairs, or a score is NaN.
// REQUIRES: as many labels as scores, fewer than 2^32.
double area_under_curve(std::span<const float> scores, std::span<const float> labels);

// The mean of -t log s - (1 - t) log(1 - s), s = sigmoid(logit), added in order in f64. NaN for no items.
double mean_log_loss(std::span<const float> logits, std::span<const float> labels);

}  // namespace trireme::training
