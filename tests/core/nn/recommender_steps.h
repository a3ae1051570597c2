// Training a recommender on drawn clicks as a strategy does it, without one.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "trireme/core/data/clicks.h"
#include "trireme/core/nn/models/recommender.h"
#include "trireme/core/optim/optimizer.h"

namespace trireme::test {

inline data::Batch clicks_of(const nn::RecommenderOptions& options, std::int64_t first, std::int64_t count) {
  const data::Clicks clicks({.rows = options.rows, .categories = options.categories, .dense = options.dense});
  std::vector<std::int64_t> items;
  for (std::int64_t i = first; i < first + count; ++i) {
    items.push_back(i);
  }
  data::Batch batch;
  clicks.fetch(items, batch);
  return batch;
}

class RecommenderSteps {
 public:
  RecommenderSteps(nn::Recommender& model, std::unique_ptr<optim::Optimizer> optimizer)
      : model_(model), optimizer_(std::move(optimizer)) {
    std::vector<optim::Slot> slots;
    for (const nn::NamedParameter& parameter : model.parameters()) {
      const Array& value = parameter.tensor.array();
      slots.push_back({parameter.name, value.shape(), 0, parameter.sparse, value.flatten(), {}});
    }
    optimizer_->attach(std::move(slots));
  }

  // The loss before the step.
  double step(const data::Batch& batch) {
    const Tensor loss = model_.loss(batch.inputs, batch.categories, batch.labels);
    loss.backward();
    std::vector<optim::Gradient> gradients;
    for (nn::NamedParameter& parameter : model_.parameters()) {
      const LeafNode& leaf = parameter.tensor.leaf_node();
      gradients.push_back(parameter.sparse ? optim::Gradient(leaf.row_gradient())
                                           : optim::Gradient(leaf.gradient().flatten()));
      parameter.tensor.zero_grad();
    }
    optimizer_->update(gradients);
    return loss.item();
  }

 private:
  nn::Recommender& model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
};

}  // namespace trireme::test
