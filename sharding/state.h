// What a rank holds of a run, as plain data: strategies fill it in, checkpoints carry it to files and back.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "trireme/core/array/array.h"

namespace trireme::sharding {

// What this rank holds of one named tensor: rows [row_begin, row_begin + rows.size(0)) of `global_shape` (dim 0).
// A mirrored rank holds all rows; a sharded one its own. Scalars have shape {} and count as one row.
// `sharded` says who saves them: true, each row has one holder, who writes it; false (needs all rows here), every rank
// holds everything and each writes its share. A small sharded tensor may lie whole on one rank: the flag tells it
// apart.
struct StateTensor {
  std::string name;  // "model.transformer.wte.weight", "optimizer.exp_avg.transformer.wte.weight"
  Shape global_shape;
  std::int64_t row_begin = 0;
  Array rows;
  bool sharded = false;
  // Of a sharded tensor: so many ranks hold these rows, and this is one of them; each saves its share.
  int replica = 0;
  int replicas = 1;
  // Nothing but Optimizer::update() changes it: a checkpoint may go on reading it until the next one.
  bool steady = false;
};

// Early stopping: the best value of what a run watches, NaN before the first look, and the looks since.
struct BestSeen {
  double value = std::numeric_limits<double>::quiet_NaN();
  std::int64_t looks_since = 0;
};

// Everything else that a run needs to go on as if it had never stopped.
struct TrainingPosition {
  std::int64_t step = 0;  // finished steps
  std::int64_t epoch = 0;
  std::int64_t batch_in_epoch = 0;  // the next batch
  double epoch_loss = 0;            // sum of losses and of weights over the epoch's steps so far
  double epoch_weight = 0;
  BestSeen best_seen = {};
  std::int64_t optimizer_steps = 0;
  std::uint64_t seed = 0;
  std::int64_t lanes = 1;
  std::int64_t accumulate = 1;
  std::int64_t global_batch = 0;
  std::string strategy;                      // "mirrored": which one wrote it; any may read it
  std::map<std::string, std::string> extra;  // program options that must not change, as text
};

}  // namespace trireme::sharding
