// Where the operations of the ranks part: the comparison of their flight recorders. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/flight_recorder.h"

namespace trireme::comm {

struct RankHistory {
  int rank = 0;
  std::vector<OpRecord> records;  // oldest first
};

struct Divergence {
  std::uint64_t sequence = 0;
  std::vector<int> ranks;  // the minority: missing, or with another operation
  std::string text;  // "all_reduce #456 "bucket 4" f32 x 1024: rank 3 has not started it; its last is barrier #455"
};

// The first collective in which the ranks differ: another operation, dtype, count or name, one that some have not
// started, or one that some have not completed. Nothing if the histories agree. Pure; sends and receives are left out.
std::optional<Divergence> first_divergence(const std::vector<RankHistory>& histories);

}  // namespace trireme::comm
