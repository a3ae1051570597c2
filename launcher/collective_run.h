// Runs a collective over and over on every rank of a communicator, and prints the table on rank 0.
#pragma once

#include <cstdint>
#include <string>

#include "trireme/comm/communicator.h"
#include "trireme/launcher/collective_rows.h"

namespace trireme::launcher {

struct CollectivePlan {
  Collective what = Collective::all_reduce;
  std::int64_t min_bytes = 1 << 10;
  std::int64_t max_bytes = 64 << 20;
  std::int64_t factor = 4;
  int iterations = 20;
  int warmup = 5;
  DType dtype = DType::f32;
  comm::ReduceOp op = comm::ReduceOp::sum;
  comm::ReduceOrder order = comm::ReduceOrder::canonical;
  int root = 0;
  bool check = true;
};

// Collective. Returns the number of wrong elements, over all rows and ranks, on every rank.
std::int64_t run_collective(comm::Communicator& ranks, const CollectivePlan& plan);

}  // namespace trireme::launcher
