#include "trireme/strategies/sparse_gradients.h"

#include <algorithm>
#include <utility>

#include "trireme/core/array/scale.h"
#include "trireme/core/optim/clip.h"

namespace trireme::strategies {
namespace {

std::vector<std::int64_t> widths_of(const std::vector<TrainedParameter>& tables) {
  std::vector<std::int64_t> widths;
  for (const TrainedParameter& table : tables) {
    widths.push_back(table.tensor.size(1));
  }
  return widths;
}

}  // namespace

void add_slots(std::vector<std::vector<SparseRows>>& slots, std::span<const Addition> plan) {
  for (const Addition& addition : plan) {
    std::vector<SparseRows>& target = slots[static_cast<std::size_t>(addition.target)];
    std::vector<SparseRows>& source = slots[static_cast<std::size_t>(addition.source)];
    for (std::size_t table = 0; table < target.size(); ++table) {
      target[table] = add_rows(target[table], std::exchange(source[table], {}));
    }
  }
}

SparseGradients::SparseGradients(comm::Communicator& ranks, std::vector<TrainedParameter> tables)
    : ranks_(ranks), tables_(std::move(tables)), exchange_(ranks, widths_of(tables_)), reduced_(tables_.size()) {}

void SparseGradients::open_leaf() {
  for (const TrainedParameter& table : tables_) {
    table.leaf->as_leaf()->clear();
  }
}

void SparseGradients::end_leaf(int height, int merges, std::vector<bool>& used) {
  const auto top = static_cast<std::size_t>(height);
  levels_.resize(std::max(levels_.size(), top + 1), std::vector<SparseRows>(tables_.size()));
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    LeafNode& leaf = *tables_[t].leaf->as_leaf();
    levels_[top][t] = leaf.row_gradient();
    used.push_back(leaf.row_gradient().defined());
    leaf.clear();
    for (std::size_t i = top; i > top - static_cast<std::size_t>(merges); --i) {
      levels_[i - 1][t] = add_rows(levels_[i - 1][t], std::exchange(levels_[i][t], {}));
    }
  }
}

std::vector<std::vector<SparseRows>> SparseGradients::take_parts(const StepPlan& plan) {
  levels_.resize(std::max(levels_.size(), plan.lanes.parts.size()), std::vector<SparseRows>(tables_.size()));
  std::vector<std::vector<SparseRows>> own(plan.lanes.parts.size());
  for (std::size_t part = 0; part < own.size(); ++part) {
    own[part] = std::exchange(levels_[part], std::vector<SparseRows>(tables_.size()));
  }
  return own;
}

void SparseGradients::reduce(const StepPlan& plan) {
  if (tables_.empty()) {
    return;
  }
  std::vector<std::vector<SparseRows>> own = take_parts(plan);
  if (ranks_.size() == 1) {
    reduced_ = std::move(own[0]);
    return;
  }
  std::vector<std::vector<SparseRows>> slots = exchange_.gather(*plan.layout, own);
  add_slots(slots, plan.layout->plan);
  reduced_ = std::move(slots[static_cast<std::size_t>(plan.layout->result_slot())]);
}

void SparseGradients::scale(double factor) {
  for (const SparseRows& table : reduced_) {
    if (table.count() > 0) {
      trireme::scale(table.values, factor);
    }
  }
}

void SparseGradients::add_squares(ExactSum& sum, int rank, int size) const {
  for (const SparseRows& table : reduced_) {
    const std::int64_t begin = table.count() * rank / size;
    const std::int64_t end = table.count() * (rank + 1) / size;
    if (end > begin) {
      optim::add_squares(sum, table.values.narrow(0, begin, end - begin), table.values.size(1));
    }
  }
}

}  // namespace trireme::strategies
