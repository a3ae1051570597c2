// GradientBuckets: where gradients live, how a rank's lanes are added, and when a bucket is reduced across ranks.
//
// A bucket has one buffer for each partial sum that the lane plan keeps alive. During a leaf's backward pass the
// gradients are written straight into the buffer on top of the stack; when the last gradient of a bucket is there, the
// bucket's due additions are made while it is warm in the cache, and after the rank's last leaf its reduction is
// started, in bucket order, while backward goes on. The reduced gradient ends in buffer 0, of which the parameters'
// gradients are views.
//
// In fast order a rank brings one sum instead of the lane tree's parts, for the communicator to add in its own way.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/strategies/gradient_reduction.h"
#include "trireme/strategies/mirrored/bucket_plan.h"

namespace trireme::strategies {

class GradientBuckets final : public GradientReduction {
 public:
  struct Options {
    std::size_t first_bytes = 1 << 20;
    std::size_t bytes = 25 << 20;
    comm::ReduceOrder order = comm::ReduceOrder::canonical;
  };

  GradientBuckets(comm::Communicator& communicator, std::vector<TrainedParameter> parameters, const Options& options);
  ~GradientBuckets() override;
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  void open_leaf(const LeafPlace& place) override;
  void begin_pass(bool last) override;
  void end_leaf(std::vector<bool>& used) override;
  void reduce_without_parts(const StepPlan& plan) override;
  // Shows the result as the parameters' gradients.
  void finish() override;

  Array reduced(std::size_t i) const override { return views_[0][i].flatten(); }
  Array rows_for_norm(std::size_t i) const override;
  void scale(double factor) override;
  // Collective, once after the first step: buckets in the order in which rank 0's gradients became ready.
  void rebuild();

 private:
  struct Flight {
    int pending = 0;  // parameters without a gradient yet
    bool full = false;
  };

  void plan(std::vector<std::size_t> order);
  void drop_old_buckets();
  void allocate_buffers(int depth);
  void on_ready(std::size_t parameter);
  void bucket_full(std::size_t bucket);
  void start_reductions();
  std::string describe_bucket(std::size_t bucket) const;

  comm::Communicator& communicator_;
  std::vector<TrainedParameter> parameters_;
  Options options_;

  std::vector<Bucket> buckets_;
  std::vector<std::string> bucket_names_;
  std::vector<std::size_t> bucket_of_;       // [parameter]
  std::vector<std::vector<Array>> buffers_;  // [height][bucket]
  std::vector<std::vector<Array>> views_;    // [height][parameter], of the parameter's shape
  std::vector<std::size_t> ready_order_;     // of the first backward pass
  bool record_order_ = true;

  int height_ = 0;
  int merges_ = 0;
  bool reduce_ = false;
  bool in_leaf_ = false;
  const StepPlan* plan_ = nullptr;
  std::vector<Flight> flights_;
  std::vector<bool> arrived_;  // [parameter], in this leaf
  std::size_t next_to_start_ = 0;
  std::vector<comm::Work> works_;
  std::vector<comm::Part> scratch_;  // kept for its capacity
};

}  // namespace trireme::strategies
