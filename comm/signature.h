// What must be equal on all ranks for a collective to make sense. Small and plain, so that it travels with each
// operation.
#pragma once

#include <fmt/format.h>

#include <string>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

struct Signature {
  OpKind kind = OpKind::barrier;
  DType dtype = DType::f32;
  ReduceOp op = ReduceOp::sum;
  ReduceOrder order = ReduceOrder::canonical;
  std::int32_t peer = -1;    // root; -1 where there is none
  std::int64_t count = 0;    // see count_of(Operation)
  std::uint64_t layout = 0;  // fingerprint of the reduction layout and the offsets
  std::uint64_t name_hash = 0;
  friend bool operator==(const Signature&, const Signature&) = default;
};
static_assert(sizeof(Signature) == 32);

Signature signature_of(const Operation& operation);

// "all_reduce #3 "grads" f32 x 10 (sum)". Safe for a signature read from a peer's memory, whatever it holds.
std::string describe(const Signature& signature, std::uint64_t sequence, std::string_view name);
// As above, appended to `text`: without an allocation while it fits in the buffer itself.
void append_description(fmt::memory_buffer& text, const Signature& signature, std::uint64_t sequence,
                        std::string_view name);

// "the ranks disagree: rank 0 is in A, rank 2 in B; every rank must start the same operations in the same order".
std::string disagreement(int rank_a, const std::string& a, int rank_b, const std::string& b);

}  // namespace trireme::comm
