// Collectives whose data travels after the openings, in transfers straight from array to array where there is nothing
// to add. All ranks have agreed about the operation before.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/comm/message/transfers.h"

namespace trireme::comm::message {

// Memory that operations use one after the other; grows to the largest and stays.
struct Workspace {
  Array scratch;  // bytes
  std::vector<const std::byte*> sources;
  struct Round {
    std::vector<Transfers::Handle> data_in;  // to be added up here
    std::vector<Transfers::Handle> data_out;
    std::vector<Transfers::Handle> results;  // both ways
  };
  static constexpr std::size_t kRounds = 3;  // in flight
  std::array<Round, kRounds> rounds;
  std::vector<Transfers::Handle> handles;

  std::byte* scratch_of(std::size_t bytes);
};

// Scratch memory of a reduction in which each rank reduces at most `slice_bytes`, brought in by `slots` parts of which
// `foreign` are other ranks'. A rank keeps the most that it has ever needed.
std::size_t reduction_scratch(std::size_t slice_bytes, std::size_t slots, std::size_t foreign);

// Each blocks until the operation is done on this rank. All raise LinkError when a peer is lost, and what the
// transfers' `look` raises.

// all_reduce and reduce_scatter, of arrays and of parts. Every rank reduces its slice, in pieces: while one is summed,
// the next is under way, and a sum goes to all ranks as soon as it is there (all_reduce).
void reduce_large(const Operation& operation, int rank, int size, Transfers& transfers, Workspace& workspace);
void all_gather_large(const Operation& operation, int rank, int size, Transfers& transfers, Workspace& workspace);
void all_to_all_large(const Operation& operation, int rank, int size, Transfers& transfers, Workspace& workspace);
// Along a chain of all ranks, in pieces.
void broadcast_large(const Operation& operation, int rank, int size, Transfers& transfers, Workspace& workspace);

}  // namespace trireme::comm::message
