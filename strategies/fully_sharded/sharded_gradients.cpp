#include "trireme/strategies/fully_sharded/sharded_gradients.h"

#include <algorithm>
#include <cstring>

#include "trireme/strategies/fully_sharded/bf16_in_place.h"
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/merge_newest.h"

namespace trireme::strategies {
ShardedGradients::ShardedGradients(ShardRanks ranks, std::shared_ptr<const ShardMap> map,
                                   std::vector<TrainedParameter> trained, int rank, const Options& options)
    : ranks_(std::move(ranks)),
      map_(std::move(map)),
      trained_(std::move(trained)),
      options_(options),
      pool_(ranks_.group, DType::f32),
      cache_(ranks_.groups, rank, options.order),
      units_(map_->plan.units.size()),
      used_(trained_.size(), false) {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    units_[u].elements = map_->plan.units[u].gradient_elements;
  }
  for (std::size_t t = 0; t < trained_.size(); ++t) {
    const std::size_t index = trained_[t].index;
    units_[map_->plan.unit_of[index]].entries.push_back({t, &map_->placement(index)});
    names_.push_back("gradient of " + trained_[t].name);
  }
}

ShardedGradients::~ShardedGradients() {
  for (const TrainedParameter& parameter : trained_) {
    parameter.leaf->as_leaf()->set_buffer({});
  }
}

// Whether buffers stay is this rank's own affair, so ranks may differ. Where rows are all there is they do.
void ShardedGradients::prepare_rows(int depth) {
  keeps_all_ = keeps_all_ || (options_.zero_stage == 1 && (depth > 1 || map_->group_size == 1));
  if (!rows_.empty()) {
    return;
  }
  if (!keeps_all_ || sends_bf16()) {  // what is sent must not lie where rows are received
    rows_ = own_rows();
    return;
  }
  rows_.resize(trained_.size());
  for (Unit& unit : units_) {
    ensure_level(unit, 0);
    for (const Entry& entry : unit.entries) {
      const ShardMap::Piece own = map_->own(entry.parameter->index);
      rows_[entry.trained] = view(unit.levels[0], entry).flatten().narrow(0, own.first, own.count);
    }
  }
}

std::vector<Array> ShardedGradients::own_rows() const {
  const std::vector<Array> all = make_own_rows(
      *map_, [&](std::size_t i) { return is_trained(i) ? std::optional(DType::f32) : std::nullopt; },
      [&](std::int64_t bytes) { return Array::zeros({bytes}, DType::u8); });
  std::vector<Array> rows;
  for (const TrainedParameter& parameter : trained_) {
    rows.push_back(all[parameter.index]);
  }
  return rows;
}

Array ShardedGradients::view(const Array& level, const Entry& entry) const {
  const Shape& shape = trained_[entry.trained].tensor.shape();
  return level.narrow(0, entry.parameter->gradient_offset, shape.count()).reshape(shape);
}

void ShardedGradients::ensure_level(Unit& unit, std::size_t height) {
  if (unit.levels.size() <= height) {
    unit.levels.resize(height + 1);
  }
  if (!unit.levels[height].defined()) {
    unit.levels[height] = pool_.take(unit.elements);
  }
}

void ShardedGradients::release_level(Unit& unit, std::size_t height) {
  if (!keeps_all_ && height < unit.levels.size() && unit.levels[height].defined()) {
    pool_.give(std::exchange(unit.levels[height], Array()));
  }
}

void ShardedGradients::open_leaf(const LeafPlace& place, bool allowed) {
  prepare_rows(place.plan->lanes.depth);
  const bool fast = options_.order == comm::ReduceOrder::fast;
  height_ = place.height;
  merges_ = place.last && fast ? place.height : place.merges;
  steps_ = place.last ? &cache_.of(*place.plan) : nullptr;
  started_ = 0;
  finished_ = 0;
  for (Unit& unit : units_) {
    unit.open = false;
    unit.complete = false;
    unit.allowed = place.last && allowed;
  }
  for (const TrainedParameter& parameter : trained_) {
    parameter.leaf->as_leaf()->clear();
    parameter.leaf->as_leaf()->set_buffer({});
  }
}

void ShardedGradients::open_without_parts(const StepPlan& plan, bool allowed) {
  open_leaf({.height = 0, .merges = 0, .last = true, .plan = &plan}, false);
  for (Unit& unit : units_) {
    unit.complete = true;
    if (options_.order == comm::ReduceOrder::fast) {  // where every rank brings one sum
      ensure_level(unit, 0);
      unit.levels[0].fill(0);
    }
  }
  if (allowed) {
    allow_all();
  }
}

void ShardedGradients::open_unit(std::size_t u) {
  Unit& unit = units_[u];
  if (unit.open || unit.complete) {
    return;
  }
  unit.open = true;
  ensure_level(unit, static_cast<std::size_t>(height_));
  for (const Entry& entry : unit.entries) {
    LeafNode& leaf = *trained_[entry.trained].leaf->as_leaf();
    if (!leaf.gradient().defined()) {
      leaf.set_buffer(view(unit.levels[static_cast<std::size_t>(height_)], entry));
    }
  }
}

// Gradients that came before the unit was open are somewhere else.
void ShardedGradients::take_gradients(Unit& unit) {
  for (const Entry& entry : unit.entries) {
    LeafNode& leaf = *trained_[entry.trained].leaf->as_leaf();
    const Array place = view(unit.levels[static_cast<std::size_t>(height_)], entry);
    used_[entry.trained] = leaf.gradient().defined();
    if (!used_[entry.trained]) {
      std::memset(place.bytes_data(), 0, place.bytes());
    } else if (leaf.gradient().bytes_data() != place.bytes_data()) {
      place.copy_from(leaf.gradient());
    }
    if (used_[entry.trained] && options_.reduce_dtype == DType::bf16 && !sends_bf16()) {
      round_through_bf16(place.flatten());
    }
    leaf.clear();
    leaf.set_buffer({});
  }
}

void ShardedGradients::complete_unit(std::size_t u) {
  Unit& unit = units_[u];
  if (unit.complete) {
    return;
  }
  open_unit(u);
  take_gradients(unit);
  unit.complete = true;
  merge_newest(unit.levels, height_, merges_);
  for (int i = 0; i < merges_; ++i) {
    release_level(unit, static_cast<std::size_t>(height_ - i));
  }
  start_reductions();
}

void ShardedGradients::complete_all() {
  for (std::size_t position = 0; position < units_.size(); ++position) {
    complete_unit(unit_at(position));
  }
}

void ShardedGradients::allow(std::size_t u) {
  units_[u].allowed = true;
  start_reductions();
}

void ShardedGradients::allow_all() {
  for (Unit& unit : units_) {
    unit.allowed = true;
  }
  start_reductions();
}

}  // namespace trireme::strategies
