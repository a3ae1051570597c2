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
#include "trireme/core/autograd/tensor.h"
#include "trireme/strategies/mirrored/bucket_plan.h"

namespace trireme::strategies {

// Where a leaf's gradients go: the stack of partial sums of sharding/lane_plan.h.
struct LeafPlace {
  int height = 0;                       // the stack's height before this leaf
  int merges = 0;                       // additions due after it; in fast order the rank's last leaf makes all
  int depth = 1;                        // the most the stack will hold in this step
  bool last = true;                     // the rank's last leaf: full buckets are reduced at once
  std::span<const Subtree> parts = {};  // what the rank brings to a canonical reduction
  std::shared_ptr<const comm::ReductionLayout> layout;
};

class GradientBuckets {
 public:
  struct Parameter {
    std::string name;
    Tensor tensor;
    NodeRef leaf;  // kept, so that a parameter frozen later still has its hook and buffer
  };

  struct Options {
    std::size_t first_bytes = 1 << 20;
    std::size_t bytes = 25 << 20;
    comm::ReduceOrder order = comm::ReduceOrder::canonical;
  };

  GradientBuckets(comm::Communicator& communicator, std::vector<Parameter> parameters, const Options& options);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  // A leaf is about to run: its gradients will be written to the place, replacing what was shown before.
  void open_leaf(const LeafPlace& place);
  // The leaf's last (or only) backward pass is about to run: buckets fill up, are added, and are reduced if place.last.
  void close_leaf();
  // The leaf's backward is over: parameters that got no gradient count as zero in this leaf. used[i] tells which got
  // one.
  void end_leaf(std::vector<bool>& used);
  // This rank has no leaf in the step: takes part in every bucket's reduction without parts.
  void reduce_without_parts(std::shared_ptr<const comm::ReductionLayout> layout);
  // Blocks until every bucket is reduced, then shows the result as the parameters' gradients.
  void finish();

  // The reduced gradient of parameter i, a view; valid until the next step's first leaf.
  const Array& gradient(std::size_t i) const { return views_[0][i]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Multiplies every reduced gradient (losses whose weight was only known afterwards).
  void scale(double factor);
  // Collective, once after the first step: buckets in the order in which rank 0's gradients became ready.
  void rebuild();

 private:
  struct Flight {
    int pending = 0;  // parameters without a gradient yet
    bool full = false;
  };

  void plan(std::vector<std::size_t> order);
  void allocate_buffers(int depth);
  void on_ready(std::size_t parameter);
  void bucket_full(std::size_t bucket);
  void start_reductions();
  std::string describe_bucket(std::size_t bucket) const;

  comm::Communicator& communicator_;
  std::vector<Parameter> parameters_;
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
  std::span<const Subtree> parts_;  // of the cached step plan
  std::shared_ptr<const comm::ReductionLayout> layout_;
  std::vector<Flight> flights_;
  std::vector<bool> arrived_;  // [parameter], in this leaf
  std::size_t next_to_start_ = 0;
  std::vector<comm::Work> works_;
  std::vector<comm::Part> scratch_;  // kept for its capacity
};

}  // namespace trireme::strategies
