// Strategy: when ranks communicate. The training loop is the same text for every strategy (docs/architecture.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/nn/module.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/sharding/state.h"

namespace trireme::strategies {

// What the last finished step was, the same on every rank.
struct StepReport {
  std::int64_t step = -1;
  double loss = 0;                        // sum of losses / sum of weights over the global batch
  double weight = 0;                      // terms in that mean (tokens, examples)
  double grad_norm = 0;                   // global, before clipping
  std::chrono::nanoseconds comm_time{0};  // this rank waited for others
};

// A parameter of the whole model. On a sharded strategy value() is collective, and makes the whole only then.
struct WholeParameter {
  std::string name;
  Shape shape;
  DType dtype = DType::f32;
  std::function<Array()> value;
  // Some rows of it, for tables that are too large to be asked for at once; null elsewhere.
  std::function<Array(std::int64_t begin, std::int64_t end)> rows = nullptr;
};

class Strategy : public StepOwner {
 public:
  virtual ~Strategy() = default;

  // Makes the model and the optimizer ready to train on all ranks: initializes parameters that have no values (seed),
  // checks that all ranks have the same parameters, places them, and attaches the optimizer. Collective; once.
  // Model and optimizer must outlive the strategy.
  virtual void prepare(nn::Module& model, optim::Optimizer& optimizer) = 0;
  // Call after each backward(). False until the rank's last lane of the step; then reduces, clips and updates, and
  // returns true. Collective when it returns true. Raises CommError when a peer is lost.
  virtual bool step() = 0;
  // Every later step() scales gradients so that their global norm is at most `max_norm`: by min(1, max_norm / (norm +
  // 1e-6)). 0 turns clipping off (the norm is still reported).
  virtual void clip_grad_norm(double max_norm) = 0;
  // Named tensors of model, buffers and optimizer that this rank holds, as views: reading shows the present values,
  // writing them, followed by state_written(), is how a checkpoint is loaded.
  virtual std::vector<sharding::StateTensor> state() = 0;
  // All ranks finish a step together. False: each goes on as far as the strategy lets it.
  virtual bool is_lockstep() const { return true; }
  // False where state() is not all that a run needs to go on (servers hold the rest): checkpoints must be refused.
  virtual bool state_is_whole() const { return true; }
  // Somebody has written through state(): makes it what every rank computes with. Collective.
  virtual void state_written() = 0;
  // The whole model, in name order, one parameter in memory at a time: for export and params_hash. For sharded
  // strategies every rank must ask for the same values in the same order, and each is there until the next is asked
  // for, or the next step.
  virtual std::vector<WholeParameter> whole_parameters() = 0;
  // Copies of all of these at once. Collective for sharded strategies.
  std::vector<nn::NamedParameter> full_parameters();
  virtual std::string_view name() const = 0;
  // What carries values from rank to rank: "shm", "gloo".
  virtual std::string carrier() { return std::string(communicator().backend()); }
  virtual const StepReport& report() const = 0;
  virtual comm::Communicator& communicator() = 0;
  // Sent to or read from other ranks by this one so far, over all communicators of the strategy that carry values.
  virtual std::uint64_t bytes_moved() { return communicator().bytes_moved(); }

  // While it lives, backward() only accumulates in place and step() must not be called: gradient accumulation by hand
  // (the Loader's `accumulate` option does it with world-size-independent bits).
  class NoSync {
   public:
    explicit NoSync(bool& flag) : flag_(flag) { flag_ = true; }
    ~NoSync() { flag_ = false; }
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    bool& flag_;
  };
  virtual NoSync no_sync() = 0;
};

// XXH3-64 over all parameters in name order: name, dtype, shape, little-endian bytes. 16 hex digits. The second form is
// collective for sharded strategies.
std::string params_hash(std::vector<nn::NamedParameter> parameters);
std::string params_hash(Strategy& strategy);

}  // namespace trireme::strategies
