// Small trainings, mirrored or fully sharded, over ranks that are threads: what they come to must be the same bits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"

namespace trireme::test {

// A model, and the loss of one leaf of a step: a function of (split, step, leaf), the same whoever asks.
struct Task {
  std::shared_ptr<nn::Module> model;
  std::function<Tensor(const BatchSplit& split, std::int64_t step, std::int64_t leaf)> loss;
};
using MakeTask = std::function<Task()>;

// A GPT of odd sizes: 66 channels, 257 words, 3 layers.
Task gpt(const nn::GPTOptions& options = {.layers = 3, .heads = 2, .width = 66, .context = 5, .vocab = 257});
// Token ids that are a function of step and item.
Array tokens_of(std::int64_t step, std::int64_t begin, std::int64_t items, std::int64_t length, std::int64_t vocab);

enum class Over : std::uint8_t { local, shm };

struct Job {
  int world = 1;
  std::optional<strategies::FullyShardedOptions> sharded = {};  // nothing: mirrored
  Over over = Over::local;
  std::int64_t lanes = 12;
  std::int64_t accumulate = 1;
  std::vector<std::int64_t> batches = {12, 12, 12};
  std::int64_t first_step = 0;
  DType param_dtype = DType::f32;  // of mirrored training; a sharded one says so itself
  double clip = 0.5;
  MakeTask task = [] { return gpt(); };
  std::function<std::unique_ptr<optim::Optimizer>()> optimizer = {};  // nothing: AdamW
  // Called on every rank before the first step, after each, and after the last.
  std::function<void(comm::World, strategies::Strategy&, Task&, optim::Optimizer&)> before = {};
  std::function<void(comm::World, strategies::Strategy&, Task&, std::int64_t step)> after_step = {};
  std::function<void(comm::World, strategies::Strategy&, Task&, optim::Optimizer&)> after = {};
};

struct Outcome {
  std::string hash;
  std::vector<double> losses;
  std::vector<double> norms;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

// Trains; all ranks must end with one hash.
Outcome run(const Job& job);
// Runs the body on so many threads, each a rank; exceptions of any rank leave.
void run_ranks(Over over, int size, const std::function<void(comm::World)>& body);
std::unique_ptr<strategies::Strategy> make_strategy(comm::World world, const Job& job);

}  // namespace trireme::test
