// ShardedGradients: from complete units to the rows of their owners.
#include "trireme/core/array/accumulate.h"
#include "trireme/core/array/scale.h"
#include "trireme/strategies/fully_sharded/bf16_in_place.h"
#include "trireme/strategies/fully_sharded/sharded_gradients.h"

namespace trireme::strategies {

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
        const Array whole = view(unit.levels[part.level], entry).flatten();
        scratch_.push_back({part.subtree, sends_bf16() ? narrow_in_place(whole) : whole});
      }
      unit.works.push_back(ranks_.group->reduce_scatter_parts(scratch_, inside.layout, entry.parameter->row_offsets,
                                                              as_received(inside_rows(node, entry.trained)),
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
  } else {
    take_rows(unit);
  }
}

// The unit's rows have arrived.
void ShardedGradients::take_rows(const Unit& unit) {
  if (sends_bf16()) {
    for (const Entry& entry : unit.entries) {
      widen_in_place(rows_[entry.trained]);
    }
  }
}

void ShardedGradients::start_across(Unit& unit) {
  for (const Entry& entry : unit.entries) {
    const comm::OpOptions options{.name = names_[entry.trained], .order = options_.order};
    const Array rows = as_received(rows_[entry.trained]);
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
  while (!keeps_all_ && started_ - finished_ >= kUnitsInFlight) {
    finish_inside(units_[unit_at(finished_++)]);
  }
}

void ShardedGradients::wait() {
  while (finished_ < started_) {
    finish_inside(units_[unit_at(finished_++)]);
  }
  if (ranks_.replicas == nullptr) {
    return;
  }
  for (Unit& unit : units_) {
    for (comm::Work& work : unit.works) {
      work.wait();
    }
    unit.works.clear();
    take_rows(unit);
  }
}

void ShardedGradients::keep_pass() {
  complete_all();
  wait();
  if (!keeping_) {
    keeping_ = true;
    kept_used_ = used_;
    kept_rows_ = kept_rows_.empty() ? own_rows() : kept_rows_;
    for (std::size_t t = 0; t < rows_.size(); ++t) {
      kept_rows_[t].copy_from(rows_[t]);
    }
    return;
  }
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    kept_used_[t] = used(t);
    accumulate(kept_rows_[t], rows_[t]);
  }
}

void ShardedGradients::finish() {
  wait();
  for (std::size_t t = 0; t < rows_.size() && keeping_; ++t) {
    accumulate(rows_[t], kept_rows_[t]);
  }
  keeping_ = false;
}

void ShardedGradients::scale(double factor) {
  for (const Array& rows : rows_) {
    trireme::scale(rows, factor);
  }
}

}  // namespace trireme::strategies
