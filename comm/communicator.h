// Communicator: ranks that move arrays between each other. One interface, many backends (comm/local, comm/shm, ...).
//
// Every rank of a communicator must start the same operations in the same order with matching counts, dtypes and names;
// a mismatch is a CommError that names both sides on every rank, never a hang. After a CommError the communicator is
// broken: every later operation raises one with the same cause. One thread of a rank uses a communicator at a time.
// Arrays must be contiguous. Operations complete in the order in which they were started. A communicator outlives its
// Works.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trireme/comm/fixed_text.h"
#include "trireme/comm/pool_allocator.h"
#include "trireme/comm/stall_clock.h"
#include "trireme/comm/work.h"
#include "trireme/core/array/array.h"
#include "trireme/core/base/activity.h"
#include "trireme/core/base/batch_split.h"
#include "trireme/core/base/lane_tree.h"

namespace trireme::comm {

enum class ReduceOp : std::uint8_t { sum, product, min, max };

// canonical: one fixed tree over the ranks or lanes, the same bits for every backend and world size. fast: the backend
// may use its engine's own reduction; the bits are the same from run to run on the same ranks, and no more. A backend
// without a faster way uses the canonical one.
enum class ReduceOrder : std::uint8_t { canonical, fast };

struct OpOptions {
  std::string_view name = {};                  // appears in errors and in the flight recorder; copied
  std::chrono::milliseconds timeout{0};        // 0: the communicator's default
  ReduceOrder order = ReduceOrder::canonical;  // of all_reduce and reduce_scatter
};

// A partial sum: the values of one node of the lane tree.
struct Part {
  Subtree subtree;
  Array array;
};

// Which parts every rank brings to a canonical reduction; the same on all ranks. Made once and reused.
struct ReductionLayout {
  std::int64_t leaves = 1;
  std::vector<std::vector<Subtree>> parts_of_rank;  // [rank]: left to right, absent ones left out
  std::vector<std::int32_t> first_slot;             // [rank]: the slot of its first part in the plan; size + 1 entries
  std::vector<Addition> plan;                       // over all parts, the slots in rank order; see reduction_plan()
  std::int64_t most_parts = 0;                      // of any one rank
  std::uint64_t fingerprint = 0;                    // of leaves and parts: ranks with different layouts find out

  int slots() const { return first_slot.back(); }
  // Where the plan's result ends: the slot of the leftmost part. REQUIRES: slots() > 0.
  std::int32_t result_slot() const { return plan.empty() ? 0 : plan.back().target; }
  // Raises Error if the parts are not disjoint nodes of the tree, each rank's left to right.
  static std::shared_ptr<const ReductionLayout> make(std::int64_t leaves,
                                                     std::vector<std::vector<Subtree>> parts_of_rank);
  static std::shared_ptr<const ReductionLayout> make(const BatchSplit& split, int world_size);
};

enum class OpKind : std::uint8_t {
  all_reduce,
  all_reduce_parts,
  reduce_scatter,
  reduce_scatter_parts,
  all_gather,
  all_to_all,
  broadcast,
  send,
  recv,
  barrier,
};
std::string_view name_of(OpKind kind);

// One operation as a backend receives it, already checked against its contract on this rank.
struct Operation {
  OpKind kind = OpKind::barrier;
  Array input = {};
  Array output = {};  // all_reduce, broadcast: the same array as input
  ReduceOp op = ReduceOp::sum;
  ReduceOrder order = ReduceOrder::canonical;
  int peer = -1;  // root, source or destination
  int tag = 0;
  PoolVector<Part> parts = {};
  std::shared_ptr<const ReductionLayout> layout = {};  // also of all_reduce and reduce_scatter: one leaf a rank
  PoolVector<std::int64_t> offsets = {};  // reduce_scatter_parts, all_gather_v: size + 1 entries, else empty
  OpName name = {};
  std::uint64_t sequence = 0;  // counts collectives, and apart from them sends and receives
  std::uint64_t record = 0;    // its entry in the flight recorder
  std::chrono::milliseconds timeout{0};
  std::chrono::steady_clock::time_point start{};  // the deadline is start + timeout
};

class FlightRecorder;
struct RankReport;

class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  virtual std::string_view backend() const = 0;  // "local", "shm", ...: what really carries the bytes

  // array[i] = op over ranks of array[i], on every rank. The order of combination is by rank, one fixed tree
  // (lane_tree.h with one leaf a rank), so the bits are the same on every rank and backend. bf16 and f16 are combined
  // in f32 and rounded once; integers wrap; of booleans sum and max are "or", product and min "and". options.order may
  // give that order up for speed.
  Work all_reduce(const Array& array, ReduceOp op = ReduceOp::sum, OpOptions options = {});
  // The canonical reduction: output = sum of all ranks' parts in the order of layout->plan, on every rank. `output` may
  // be one of this rank's part arrays. The part arrays are scratch afterwards. A rank may bring no part; if none does,
  // the output is zero. Any dtype, combined by `op` as all_reduce does.
  Work all_reduce_parts(std::span<const Part> parts, std::shared_ptr<const ReductionLayout> layout, const Array& output,
                        OpOptions options = {}, ReduceOp op = ReduceOp::sum);
  // output = this rank's piece of the element-wise reduction of `input`; input.count() == size * output.count().
  Work reduce_scatter(const Array& input, const Array& output, ReduceOp op = ReduceOp::sum, OpOptions options = {});
  // As all_reduce_parts, but rank r only gets elements [offsets[r], offsets[r + 1]) in its `output`.
  Work reduce_scatter_parts(std::span<const Part> parts, std::shared_ptr<const ReductionLayout> layout,
                            std::span<const std::int64_t> offsets, const Array& output, OpOptions options = {},
                            ReduceOp op = ReduceOp::sum);
  // output = the inputs of all ranks, in rank order; output.count() == size * input.count(). input may be its own slot
  // of output (in place), which is only read then.
  Work all_gather(const Array& input, const Array& output, OpOptions options = {});
  // As above with pieces of different sizes: rank r brings offsets[r + 1] - offsets[r] elements. Pieces may be empty.
  Work all_gather_v(const Array& input, const Array& output, std::span<const std::int64_t> offsets,
                    OpOptions options = {});
  // Piece s of `input` goes to rank s, where it becomes piece rank() of output. Counts divide by size().
  Work all_to_all(const Array& input, const Array& output, OpOptions options = {});
  // array of rank `root` to all.
  Work broadcast(const Array& array, int root, OpOptions options = {});
  // Point to point, matched by (source, destination, tag) in order. Not collective: takes no place in the order of
  // collectives, and must be waited for in an order that both sides can reach. A rank does not send to itself.
  Work send(const Array& array, int destination, int tag = 0, OpOptions options = {});
  Work recv(const Array& array, int source, int tag = 0, OpOptions options = {});
  Work barrier(OpOptions options = {});

  // Collective: ranks with the same colour form a new communicator, ordered by (key, rank). A negative colour: none.
  virtual std::shared_ptr<Communicator> split(int colour, int key) = 0;
  // Ends the communicator on this rank and tells the peers: every waiting and later operation on any rank raises
  // CommError with this reason; what this rank had completed, its peers may still complete. Never blocks. Any thread.
  virtual void abort(std::string_view reason) = 0;
  // An array that collectives can reach without a copy (shared memory); an ordinary one where there is no such thing.
  virtual Array allocate(const Shape& shape, DType dtype) = 0;
  // Collective: one array that all ranks have in common, zeros. What a rank writes the others see after a collective
  // that all have started since. Its memory grows with the pages that are touched, each counted for the rank that
  // touches it first, and goes when the last rank drops it. An undefined Array on all ranks that do not share memory.
  virtual Array allocate_shared(const Shape& shape, DType dtype) = 0;

  // Bytes that this rank has sent to or read from other ranks so far, and the time it has spent waiting in wait().
  virtual std::uint64_t bytes_moved() const = 0;
  std::chrono::nanoseconds time_waiting() const { return time_waiting_; }

  std::chrono::milliseconds default_timeout() const { return default_timeout_; }
  void set_default_timeout(std::chrono::milliseconds timeout) { default_timeout_ = timeout; }
  FlightRecorder& recorder() { return *recorder_; }
  // What this rank does, and its newest operations (at most `records`). Any thread.
  RankReport own_report(std::size_t records) const;
  // What can be seen of the ranks of this communicator now, for messages about stalls. Blocks for as long as asking
  // them takes, at most a second; works after a failure too. This rank's own report if the backend sees no more.
  virtual std::vector<RankReport> look_at_ranks();
  // A communicator that serves as part of another one leaves the warnings about stalls to that one. Before the first
  // operation; called by a thread that waits, or that moves operations on.
  using StallListener = std::function<void(const Operation& operation, const std::vector<int>& missing)>;
  void set_stall_listener(StallListener listener) { stall_listener_ = std::move(listener); }

 protected:
  Communicator(int rank, int size);
  // One leaf a rank: the order in which all_reduce and reduce_scatter combine.
  const std::shared_ptr<const ReductionLayout>& rank_order() const { return rank_order_; }
  // Starts the operation. `operation.sequence` and the deadline are set; arguments were checked on this rank.
  virtual std::shared_ptr<WorkState> start(Operation&& operation) = 0;
  void add_waiting(std::chrono::nanoseconds time) { time_waiting_ += time; }

  // Backends call these while they wait. The first is cheap: whether it is time to call the second, which logs a
  // warning about the stall if this rank is the one that speaks for all. `missing`: the ranks that are waited for.
  bool stall_is_due(const Operation& operation, std::chrono::steady_clock::time_point now) {
    return stalls_.due(operation.record, now - operation.start, operation.timeout);
  }
  const StallClock& stalls() const { return stalls_; }
  void warn_of_stall(const Operation& operation, const std::vector<int>& missing);
  // "waiting for rank 3 on node-b (pid 812), which is in data loading since 4.1 s": to end the message about a passed
  // deadline.
  std::string explain_stall(const Operation& operation, const std::vector<int>& missing);

 private:
  Work submit(Operation&& operation, const OpOptions& options);

  int rank_;
  int size_;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t next_message_ = 0;
  std::shared_ptr<const ReductionLayout> rank_order_;
  std::chrono::milliseconds default_timeout_{60000};
  std::chrono::nanoseconds time_waiting_{0};
  std::unique_ptr<FlightRecorder> recorder_;
  std::shared_ptr<const ActivityRecord> activity_;  // of the thread that made this communicator: the rank's
  StallClock stalls_;
  StallListener stall_listener_;
};

// The world of a program: a handle that is passed by value. Converts to the plain data that core/data wants.
class World {
 public:
  World(std::shared_ptr<Communicator> communicator, std::int64_t default_lanes)
      : communicator_(std::move(communicator)), default_lanes_(default_lanes) {}

  int rank() const { return communicator_->rank(); }
  int size() const { return communicator_->size(); }
  std::int64_t default_lanes() const { return default_lanes_; }
  Communicator* operator->() const { return communicator_.get(); }
  const std::shared_ptr<Communicator>& communicator() const { return communicator_; }
  operator RankLayout() const { return {rank(), size(), default_lanes_}; }  // NOLINT(google-explicit-constructor)

 private:
  std::shared_ptr<Communicator> communicator_;
  std::int64_t default_lanes_;
};

}  // namespace trireme::comm
