// Measuring a model on a test set, shared out over the ranks. Where ranks are not in step (Strategy::is_lockstep) the
// first one measures all of it, with what it knows of the parameters, and the others return NaN for no items.
#pragma once

#include <functional>

#include "trireme/core/data/dataset.h"
#include "trireme/core/nn/module.h"
#include "trireme/strategies/strategy.h"
#include "trireme/training/test_result.h"

namespace trireme::training {

// In how many rows of `scores` [N, classes] the first largest value stands where `labels` (integers [N]) says.
std::int64_t count_right(const Array& scores, const Array& labels);

// Runs the model on every item of `test`, each rank its share, and adds up: "accuracy", the share of items that were
// right. Collective; the same result on every rank and for every world size (a count is exact). No tape is kept; the
// caller switches the model to evaluation.
TestResult measure_accuracy(nn::Module& model, const data::Dataset& test, strategies::Strategy& strategy,
                            std::int64_t batch_size = 256);

// Likewise with logits [items] of clicks: "auc" and "log_loss" (ranking.h), of all items in order, so that both have
// the same bits for every world size.
TestResult measure_clicks(const std::function<Tensor(const data::Batch&)>& logits, const data::Dataset& test,
                          strategies::Strategy& strategy, std::int64_t batch_size = 1024);

}  // namespace trireme::training
