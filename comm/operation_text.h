// How operations are named in messages, and what a CommError about one says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

// "all_reduce #7 "bucket 4"".
std::string describe(OpKind kind, std::uint64_t sequence, std::string_view name);
std::string describe(const Operation& operation);
// "rank 3", "ranks 1, 2 and 5".
std::string describe_ranks(const std::vector<int>& ranks);

// Elements and dtype of the array by which the operation is told apart in messages and records.
std::int64_t count_of(const Operation& operation);
DType dtype_of_operation(const Operation& operation);
inline bool is_message(OpKind kind) { return kind == OpKind::send || kind == OpKind::recv; }

// Bytes that `rank` sends to or reads from other ranks: the volume of the direct algorithm of each operation.
std::uint64_t traffic_of(const Operation& operation, int rank, int size);

// "OPERATION on rank R (HOST, step S): CAUSE"; the step is that of the calling thread, left out before the first.
CommError comm_error(const Operation& operation, int rank, std::vector<int> ranks, std::string cause);

}  // namespace trireme::comm
