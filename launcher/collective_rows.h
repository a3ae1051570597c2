// The table of `trireme bench all_reduce` and its siblings, as nccl-tests prints it
// (https://github.com/NVIDIA/nccl-tests): amounts, bandwidths and the text of a line. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::launcher {

enum class Collective { all_reduce, reduce_scatter, all_gather, all_to_all, broadcast, barrier };
// Nothing for other words.
std::optional<Collective> collective_from_name(const std::string& name);

// How much one row moves. bytes: of the array that all ranks have in common (the input of reduce_scatter, the output of
// all_gather); count: elements of all_reduce and broadcast, of one rank's piece elsewhere.
struct Amount {
  std::int64_t bytes = 0;
  std::int64_t count = 0;
};
// At most `bytes`, but at least one element (a piece).
Amount amount_of(Collective what, std::int64_t bytes, DType dtype, int ranks);
// min, min * factor, ... up to max. A barrier has one row, of 0 bytes.
std::vector<std::int64_t> row_sizes(Collective what, std::int64_t min, std::int64_t max, std::int64_t factor);

// Bus bandwidth over algorithm bandwidth (bytes / time), nccl-tests' PERFORMANCE.md: 2 (n - 1) / n for all_reduce, (n -
// 1) / n for reduce_scatter, all_gather and all_to_all, 1 for broadcast.
double bus_factor(Collective what, int ranks);

struct Measured {
  double seconds = 0;                     // of one call, the average over ranks
  std::optional<std::int64_t> wrong = 0;  // elements, over all ranks; nothing: not checked
};
struct Row {
  Amount amount;
  std::string type;
  std::string op = "none";
  int root = -1;
  std::optional<Measured> out_of_place;
  std::optional<Measured> in_place;
};
std::string table_head(bool timed_only);
std::string table_line(Collective what, const Row& row, int ranks);

// nccl-tests' names: "float", "bfloat16", "sum", "prod".
std::string type_name(DType dtype);
std::string op_name(comm::ReduceOp op);
// Accepts "sum", "prod", "product", "min", "max". Raises Error (usage).
comm::ReduceOp op_from_name(const std::string& name);

// "4096", "4K", "16M", "1G" in bytes, also KiB, MiB, GiB. Raises Error (usage) naming `option`.
std::int64_t parse_bytes(const std::string& option, const std::string& text);

}  // namespace trireme::launcher
