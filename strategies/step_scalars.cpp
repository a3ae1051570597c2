#include "trireme/strategies/step_scalars.h"

#include <algorithm>

#include "trireme/strategies/merge_newest.h"

namespace trireme::strategies {

StepScalars::StepScalars(comm::Communicator& communicator, std::size_t parameters,
                         std::vector<nn::NamedBuffer> observed)
    : communicator_(communicator), parameters_(parameters), observed_(std::move(observed)) {
  count_ = static_cast<std::int64_t>(kFixed + parameters_);
  for (const nn::NamedBuffer& buffer : observed_) {
    count_ += buffer.array.count();
  }
}

std::span<double> StepScalars::level(int height) {
  while (static_cast<int>(levels_.size()) <= height) {
    levels_.push_back(communicator_.allocate({count_}, DType::f64));
  }
  return levels_[static_cast<std::size_t>(height)].span<double>();
}

void StepScalars::add_leaf(const Leaf& leaf, const std::vector<bool>& used, int height, int merges) {
  const std::span<double> numbers = level(height);
  numbers[kLoss] = leaf.loss * leaf.weight;
  numbers[kWeight] = leaf.weight;
  numbers[kUnscaled] = leaf.unscaled ? 1 : 0;
  std::size_t next = kFixed;
  for (std::size_t i = 0; i < parameters_; ++i) {
    numbers[next++] = used[i] ? 1 : 0;
  }
  for (nn::NamedBuffer& buffer : observed_) {
    nn::Observation& seen = *buffer.observation;
    const std::span<const float> values = seen.fresh ? seen.value.span<float>() : buffer.array.span<float>();
    for (const float value : values) {
      numbers[next++] = leaf.weight * static_cast<double>(value);
    }
    seen.fresh = false;
  }
  merge_newest(levels_, height, merges);
}

const std::vector<comm::Part>& StepScalars::parts(const StepPlan& plan) {
  level(0);
  scratch_.clear();
  for (std::size_t i = 0; i < plan.lanes.parts.size(); ++i) {
    scratch_.push_back({plan.lanes.parts[i], levels_[i]});
  }
  return scratch_;
}

void StepScalars::take_total(const Array& total) {
  if (total.bytes_data() != levels_[0].bytes_data()) {
    levels_[0].copy_from(total);
  }
  total_ = levels_[0].span<double>();
  move_running_statistics();
}

void StepScalars::take_nothing() {
  const std::span<double> numbers = level(0);
  std::ranges::fill(numbers, 0.0);
  total_ = numbers;
}

void StepScalars::reduce(const StepPlan& plan) {
  const std::vector<comm::Part>& own = parts(plan);  // makes the first level where this rank has no leaf
  communicator_.all_reduce_parts(own, plan.layout, levels_[0], {.name = "loss and step scalars"}).wait();
  take_total(levels_[0]);
}

void StepScalars::move_running_statistics() {
  std::size_t next = kFixed + parameters_;
  const double weight = weight_sum();
  for (const nn::NamedBuffer& buffer : observed_) {
    const double momentum = buffer.observation->momentum;
    for (float& running : buffer.array.span<float>()) {
      const double mean = total_[next++] / weight;
      running = static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * mean);
    }
  }
}

}  // namespace trireme::strategies
