#include "trireme/strategies/parameter_server/worker_gradients.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/accumulate.h"
#include "trireme/core/array/scale.h"
#include "trireme/strategies/merge_newest.h"

namespace trireme::strategies::parameter_server {
namespace {

constexpr std::size_t kBatchBytes = 1 << 20;  // a parcel leaves as soon as it has so many

}  // namespace

WorkerGradients::WorkerGradients(Client& client, const Plan& plan, std::vector<TrainedParameter> parameters)
    : client_(client),
      plan_(plan),
      parameters_(std::move(parameters)),
      pieces_of_(parameters_.size()),
      batches_(static_cast<std::size_t>(plan.servers)),
      arrived_(parameters_.size(), false) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].leaf->as_leaf()->set_ready_hook([this, i] { on_ready(i); });
  }
  for (std::size_t p = 0; p < plan.pieces.size(); ++p) {
    const auto variable = static_cast<std::size_t>(plan.pieces[p].variable);
    if (variable < pieces_of_.size()) {
      pieces_of_[variable].push_back(static_cast<int>(p));
    }
  }
}

WorkerGradients::~WorkerGradients() {
  for (const TrainedParameter& parameter : parameters_) {
    parameter.leaf->as_leaf()->set_ready_hook({});
    parameter.leaf->as_leaf()->set_buffer({});
  }
}

void WorkerGradients::allocate_levels(int depth) {
  while (static_cast<int>(views_.size()) < depth) {
    std::vector<Array> level;
    for (const TrainedParameter& parameter : parameters_) {
      level.push_back(Array::empty(parameter.tensor.shape()));
    }
    views_.push_back(std::move(level));
  }
}

void WorkerGradients::open_leaf(const LeafPlace& place) {
  allocate_levels(std::max(place.plan->lanes.depth, 1));
  height_ = place.height;
  merges_ = place.merges;
  last_ = place.last;
  step_plan_ = place.plan;
  factor_ = 1;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    LeafNode& leaf = *parameters_[i].leaf->as_leaf();
    leaf.clear();
    leaf.set_buffer(views_[static_cast<std::size_t>(height_)][i]);
  }
}

void WorkerGradients::begin_pass(bool last) {
  if (!last) {
    return;
  }
  in_leaf_ = true;
  arrived_.assign(parameters_.size(), false);
}

void WorkerGradients::on_ready(std::size_t variable) {
  if (!in_leaf_) {
    return;  // under no_sync() gradients only accumulate
  }
  arrived_[variable] = true;
  complete(variable);
  flush(kBatchBytes);
}

void WorkerGradients::complete(std::size_t variable) {
  merge_newest(LevelsOfItem{views_, variable}, height_, merges_);
  if (last_ && is_sync()) {
    add_to_batches(variable);
  }
}

void WorkerGradients::add_to_batches(std::size_t variable) {
  const std::vector<Subtree>& parts = step_plan_->lanes.parts;
  for (const int piece : pieces_of_[variable]) {
    const sharding::VariablePiece& place = plan_.pieces[static_cast<std::size_t>(piece)];
    Batch& batch = batches_[static_cast<std::size_t>(place.server)];
    const std::int64_t row = plan_.row_length(piece);
    for (std::size_t level = 0; level < parts.size(); ++level) {
      batch.message.entries.push_back({.piece = piece, .part = parts[level]});
      batch.arrays.push_back(
          views_[level][variable].flatten().narrow(0, place.rows.begin * row, place.rows.size() * row));
      batch.bytes += batch.arrays.back().bytes();
    }
  }
}

void WorkerGradients::flush(std::size_t at_least) {
  for (std::size_t server = 0; server < batches_.size(); ++server) {
    Batch& batch = batches_[server];
    if (batch.arrays.empty() || batch.bytes < at_least) {
      continue;
    }
    batch.message.kind = Kind::push;
    batch.message.step = step_;
    batch.message.split = step_plan_->split;
    client_.request(static_cast<int>(server), std::move(batch.message), std::move(batch.arrays));
    batch = {};
  }
}

void WorkerGradients::end_leaf(std::vector<bool>& used) {
  in_leaf_ = false;
  used = arrived_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!arrived_[i]) {
      used[i] = parameters_[i].leaf->as_leaf()->gradient().defined();  // accumulated earlier, under no_sync()
      if (!used[i]) {
        const Array& view = views_[static_cast<std::size_t>(height_)][i];
        std::memset(view.bytes_data(), 0, view.bytes());
      }
      complete(i);
    }
  }
}

void WorkerGradients::reduce_without_parts(const StepPlan& plan) {
  allocate_levels(1);
  step_plan_ = &plan;
  factor_ = 1;
  if (!is_sync()) {
    for (const Array& view : views_[0]) {
      view.fill(0);
    }
  }
}

void WorkerGradients::finish() {
  flush(0);
  if (!is_sync()) {
    for (const Addition& addition : reduction_plan(step_plan_->lanes.parts, step_plan_->split.leaves())) {
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        accumulate(views_[static_cast<std::size_t>(addition.target)][i],
                   views_[static_cast<std::size_t>(addition.source)][i]);
      }
    }
  }
  for (const TrainedParameter& parameter : parameters_) {
    parameter.leaf->as_leaf()->clear();
  }
}

void WorkerGradients::scale(double factor) {
  factor_ = factor;
  if (!is_sync()) {
    for (const Array& view : views_[0]) {
      trireme::scale(view, factor);
    }
  }
}

}  // namespace trireme::strategies::parameter_server
