// The data side of a collective in shared memory: which bytes a rank copies or reduces, given where everybody's are.
// No waiting here; shm_communicator decides when.
//
// Three ways. Direct: the arrays themselves are in the segments; each rank works on its slice in place. Staged: each
// rank copies its input, piece by piece (a round), to its exchange buffer, where the others read it. Mailbox: a staged
// operation of one small round, whose buffer was filled at the start.
//
// A buffer is a row of cells of equal size: one for each (part, destination) that the operation has.
#pragma once

#include <span>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm::shm {

struct Cut {
  std::int64_t cell = 0;  // elements of a cell
  std::int64_t rounds = 1;
};
// How the operation is cut into rounds for buffers of this many bytes. The same on all ranks.
Cut cut_for(const Operation& operation, int size, std::size_t buffer_bytes);
// One round of any size, and whether it fits in a buffer of this many bytes.
Cut whole_cut(const Operation& operation, int size);
bool fits(const Operation& operation, int size, std::size_t buffer_bytes);

// Where everybody's data are. Reused, so that operations allocate nothing.
struct Places {
  std::vector<std::byte*> buffers;        // [rank]: staged
  std::vector<const std::byte*> sources;  // [slot of the plan] or [rank]: direct
  std::vector<std::byte*> outputs;        // [rank]: direct all_reduce
};

class Transfer {
 public:
  Transfer(const Operation& operation, int rank, int size) : op_(operation), rank_(rank), size_(size) {}

  bool reduces() const { return op_.layout != nullptr; }
  bool reduces_to_all() const { return op_.kind == OpKind::all_reduce || op_.kind == OpKind::all_reduce_parts; }

  // Copies this rank's input of the round into its buffer.
  void fill(const Cut& cut, std::int64_t round, std::byte* buffer) const;
  // Makes this rank's output of the round from all buffers.
  void pull(const Cut& cut, std::int64_t round, Places& places) const;
  // all_reduce in two steps, for many ranks: reduces this rank's slice of the round and writes it to all buffers; and,
  // when all have, copies the result out.
  void push(const Cut& cut, std::int64_t round, Places& places) const;
  void drain(const Cut& cut, std::int64_t round, const std::byte* buffer) const;
  // This rank's whole share, on the arrays themselves.
  void direct(Places& places) const;

 private:
  struct Range {
    std::int64_t begin;
    std::int64_t end;
    std::int64_t count() const { return end - begin; }
  };
  std::size_t element() const;
  std::size_t bytes(std::int64_t count) const { return static_cast<std::size_t>(count) * element(); }
  Range piece_of(int rank) const;                                        // of reduce_scatter and all_gather
  static Range window(Range range, const Cut& cut, std::int64_t round);  // what a round covers of it
  Range slice_of(std::int64_t count) const;                              // this rank's, cut at cache lines
  std::int64_t parts_of(int rank) const;
  const std::byte* part_data(std::int64_t part) const;
  void gather_sources(const Cut& cut, std::int64_t destination, std::int64_t destinations, std::int64_t skip,
                      Places& places) const;
  void reduce(std::span<const std::byte* const> sources, std::span<std::byte* const> outputs, std::int64_t count) const;

  const Operation& op_;
  const int rank_;
  const int size_;
};

}  // namespace trireme::comm::shm
