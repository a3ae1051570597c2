// The few numbers of a step that cross ranks with the gradients: loss, weight, which parameters were used, and what
// batch normalization saw. They go through the same lane tree as the gradients, in f64, so they are the same for every
// layout.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/core/nn/module.h"
#include "trireme/strategies/step_plans.h"

namespace trireme::strategies {

class StepScalars {
 public:
  // `observed`: buffers whose Observation moves once a step.
  StepScalars(comm::Communicator& communicator, std::size_t parameters, std::vector<nn::NamedBuffer> observed);

  struct Leaf {
    double loss = 0;  // mean over `weight` terms
    double weight = 1;
    bool unscaled = false;  // gradients of this leaf carry `weight`, to be divided by the total afterwards
  };
  // Records a finished leaf: pushes its numbers on the stack of partial sums, then makes `merges` additions.
  void add_leaf(const Leaf& leaf, const std::vector<bool>& used, int height, int merges);
  // Starts and finishes the reduction over ranks; then moves the running statistics. Blocks.
  void reduce(const StepPlan& plan);
  // The two halves of it, for who adds up in another way: this rank's partial sums, and their sum over the lanes (f64,
  // as long as one of them).
  const std::vector<comm::Part>& parts(const StepPlan& plan);
  void take_total(const Array& total);
  void take_nothing();  // no lane at all: sums of zero

  double loss_sum() const { return total_[kLoss]; }
  double weight_sum() const { return total_[kWeight]; }
  // True if any leaf's gradients were not divided by the global weight.
  bool unscaled() const { return total_[kUnscaled] > 0; }
  // True if any lane of any rank used parameter i.
  bool used(std::size_t i) const { return total_[kFixed + i] > 0; }

 private:
  enum : std::size_t { kLoss, kWeight, kUnscaled, kFixed };
  void move_running_statistics();
  std::span<double> level(int height);

  comm::Communicator& communicator_;
  std::size_t parameters_;
  std::vector<nn::NamedBuffer> observed_;
  std::int64_t count_;
  std::vector<Array> levels_;        // [height]: partial sums
  std::vector<comm::Part> scratch_;  // kept for its capacity
  std::span<const double> total_;
};

}  // namespace trireme::strategies
