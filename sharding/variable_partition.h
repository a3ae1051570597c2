// Which server holds which rows of which variable. Pure arithmetic: every worker and server asks the same function and
// needs no talk.
//
// A variable is cut along dim 0 as TensorFlow's partitioners cut it (tf.distribute.experimental.partitioners): into
// pieces whose sizes differ by at most one row, larger ones first. Pieces then go, in order, to the server that holds
// the fewest bytes so far, ties to the first.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "trireme/core/base/shape.h"
#include "trireme/sharding/shard_rows.h"

namespace trireme::sharding {

// Always `shards` pieces, or one a row where there are fewer rows.
struct FixedShards {
  int shards = 1;
};

// As many pieces as there can be of at least `min_bytes` each, but at most `max_shards`.
struct MinSize {
  std::int64_t min_bytes = 256 << 10;
  int max_shards = 1;
};

// As few pieces as possible of at most `max_bytes` each (a row at least), but not more than `max_shards`; 0: any
// number.
struct MaxSize {
  std::int64_t max_bytes = 16 << 20;
  int max_shards = 0;
};

using Partitioner = std::variant<FixedShards, MinSize, MaxSize>;

// A piece of a variable on its server.
struct VariablePiece {
  int variable = 0;  // index into the caller's list
  int server = 0;
  RowRange rows;

  friend bool operator==(const VariablePiece&, const VariablePiece&) = default;
};

// Into how many pieces a variable of f32 is cut. Raises Error (usage) for limits that are not positive.
int pieces_of(const Shape& variable, const Partitioner& partitioner);

// The pieces of all variables, in order of variable and row; variables without rows have none.
// Raises Error (usage) unless servers > 0, and as pieces_of() does.
std::vector<VariablePiece> partition_variables(std::span<const Shape> variables, int servers,
                                               const Partitioner& partitioner);

}  // namespace trireme::sharding
