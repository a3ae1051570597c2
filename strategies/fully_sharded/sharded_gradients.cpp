#include "trireme/strategies/fully_sharded/sharded_gradients.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/bf16_rows.h"
#include "trireme/core/base/parallel.h"
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/merge_newest.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kTile = 64 << 10;  // elements
constexpr std::int64_t kRun = 512;

// To bf16 and back, in place.
void round_to_bf16(const Array& array) {
  parallel_for(array.count(), kTile, [values = array.data<float>()](std::int64_t begin, std::int64_t end) {
    BFloat16 rounded[kRun];
    for (std::int64_t at = begin; at < end; at += kRun) {
      const std::int64_t count = std::min(kRun, end - at);
      round_row(values + at, rounded, count);
      widen_row(rounded, values + at, count);
    }
  });
}

}  // namespace

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
  make_rows();
}

ShardedGradients::~ShardedGradients() {
  for (const TrainedParameter& parameter : trained_) {
    parameter.leaf->as_leaf()->set_buffer({});
  }
}

void ShardedGradients::make_rows() {
  if (!keeps_all()) {
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
  if (!keeps_all() && height < unit.levels.size() && unit.levels[height].defined()) {
    pool_.give(std::exchange(unit.levels[height], Array()));
  }
}

void ShardedGradients::open_leaf(const LeafPlace& place, bool allowed) {
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
    if (used_[entry.trained] && options_.reduce_dtype == DType::bf16) {
      round_to_bf16(place);
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

// Every rank starts the units in the same order, whatever the order in which they were completed.
void ShardedGradients::start_reductions() {
  while (started_ < units_.size()) {
    Unit& unit = units_[unit_at(started_)];
    if (!unit.complete || !unit.allowed) {
      return;
    }
    start_inside(unit);
    ++started_;
  }
}

const Array& ShardedGradients::inside_rows(std::size_t node, std::size_t trained) {
  if (node == 0) {
    return rows_[trained];
  }
  while (node_rows_.size() < node) {
    node_rows_.push_back(own_rows());
  }
  return node_rows_[node - 1][trained];
}

void ShardedGradients::start_inside(Unit& unit) {
  for (std::size_t node = 0; node < steps_->inside.size(); ++node) {
    const InsideReduction& inside = steps_->inside[node];
    for (const Entry& entry : unit.entries) {
      scratch_.clear();
      for (const InsideReduction::Part& part : inside.parts) {
        scratch_.push_back({part.subtree, view(unit.levels[part.level], entry).flatten()});
      }
      unit.works.push_back(ranks_.group->reduce_scatter_parts(scratch_, inside.layout, entry.parameter->row_offsets,
                                                              inside_rows(node, entry.trained),
                                                              {.name = names_[entry.trained]}));
    }
  }
  scratch_.clear();
}

void ShardedGradients::finish_inside(Unit& unit) {
  for (comm::Work& work : unit.works) {
    work.wait();
  }
  unit.works.clear();
  for (std::size_t level = 0; level < unit.levels.size(); ++level) {
    release_level(unit, level);
  }
  if (ranks_.replicas != nullptr) {
    start_across(unit);
  }
}

void ShardedGradients::start_across(Unit& unit) {
  for (const Entry& entry : unit.entries) {
    const comm::OpOptions options{.name = names_[entry.trained], .order = options_.order};
    const Array& rows = rows_[entry.trained];
    if (options_.order == comm::ReduceOrder::fast) {
      unit.works.push_back(ranks_.replicas->all_reduce(rows, comm::ReduceOp::sum, options));
      continue;
    }
    scratch_.clear();
    for (std::size_t node = 0; node < steps_->inside.size(); ++node) {
      scratch_.push_back({steps_->inside[node].node, inside_rows(node, entry.trained)});
    }
    unit.works.push_back(ranks_.replicas->all_reduce_parts(scratch_, steps_->across, rows, options));
  }
  scratch_.clear();
}

void ShardedGradients::limit_in_flight() {
  while (!keeps_all() && started_ - finished_ >= kUnitsInFlight) {
    finish_inside(units_[unit_at(finished_++)]);
  }
}

void ShardedGradients::finish() {
  while (finished_ < started_) {
    finish_inside(units_[unit_at(finished_++)]);
  }
  for (Unit& unit : units_) {
    for (comm::Work& work : unit.works) {
      work.wait();
    }
    unit.works.clear();
  }
}

void ShardedGradients::scale(double factor) {
  const auto multiplier = static_cast<float>(factor);
  for (const Array& rows : rows_) {
    for (float& element : rows.span<float>()) {
      element *= multiplier;
    }
  }
}

}  // namespace trireme::strategies
