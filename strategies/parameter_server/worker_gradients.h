// WorkerGradients: where a worker's gradients live, and how they get to the servers.
//
// As in mirrored training backward writes straight into the buffer on top of the stack of partial sums, one for each
// variable. sync: when a variable is complete after the worker's last leaf its parts go to its servers, while backward
// goes on; variables that are complete close to each other share a parcel. ssp and async: the worker's own sum stays
// here until the step ends.
#pragma once

#include <memory>
#include <vector>

#include "trireme/strategies/gradient_reduction.h"
#include "trireme/strategies/parameter_server/client/client.h"

namespace trireme::strategies::parameter_server {

class WorkerGradients final : public GradientReduction {
 public:
  // parameters[i] is variable i of the plan; sparse ones, the last ones, are not among them. Both client and plan must
  // outlive this.
  WorkerGradients(Client& client, const Plan& plan, std::vector<TrainedParameter> parameters);
  ~WorkerGradients() override;
  WorkerGradients(const WorkerGradients&) = delete;
  WorkerGradients& operator=(const WorkerGradients&) = delete;

  // The step that is about to begin. To be called before each.
  void begin_step(std::int64_t step) { step_ = step; }

  void open_leaf(const LeafPlace& place) override;
  void begin_pass(bool last) override;
  void end_leaf(std::vector<bool>& used) override;
  void reduce_without_parts(const StepPlan& plan) override;
  // sync: everything is on its way. ssp, async: adds this worker's parts up.
  void finish() override;

  // This worker's own sum, flat. REQUIRES: ssp or async.
  Array reduced(std::size_t i) const override { return views_[0][i].flatten(); }
  Array rows_for_norm(std::size_t i) const override { return reduced(i); }
  // sync: the servers will do it (factor()). ssp, async: at once.
  void scale(double factor) override;
  double factor() const { return factor_; }

 private:
  struct Batch {
    Message message;
    std::vector<Array> arrays;
    std::size_t bytes = 0;
  };

  void allocate_levels(int depth);
  void on_ready(std::size_t variable);
  void complete(std::size_t variable);
  void add_to_batches(std::size_t variable);
  void flush(std::size_t at_least);
  bool is_sync() const { return plan_.consistency == Consistency::sync; }

  Client& client_;
  const Plan& plan_;
  std::vector<TrainedParameter> parameters_;
  std::vector<std::vector<int>> pieces_of_;  // [variable]
  std::vector<std::vector<Array>> views_;    // [height][variable], of the parameter's shape
  std::vector<Batch> batches_;               // [server]
  std::vector<bool> arrived_;                // [variable], in this leaf
  std::int64_t step_ = 0;
  int height_ = 0;
  int merges_ = 0;
  bool last_ = false;
  bool in_leaf_ = false;
  const StepPlan* step_plan_ = nullptr;
  double factor_ = 1;
};

}  // namespace trireme::strategies::parameter_server
