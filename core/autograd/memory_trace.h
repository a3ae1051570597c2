// What a forward and a backward pass will keep in memory, found without running them: the tape, played with sizes
// instead of numbers.
//
// A model describes its forward pass once more with TracedTensors (core/ops/traced.h has the ops): handles that hold
// memory exactly as long as the Tensors of the real pass do, temporaries of an expression included. So what is alive at
// each moment is what will be, and so is the peak. Parameters and their gradients are not counted: they belong to the
// strategy. Activations are f32.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace trireme {

// Bytes of one leaf's passes (a micro-batch of a lane), in blocks of the arena.
struct ActivationMemory {
  std::int64_t kept = 0;           // alive between the two passes
  std::int64_t forward_peak = 0;   // the most alive at once in the forward pass
  std::int64_t backward_peak = 0;  // and in the backward pass
  // What the arena has taken from the system for both: freed blocks stay there, and serve only requests of about their
  // size. This is what a process grows by.
  std::int64_t reserved = 0;
};

class MemoryTrace;

// A tensor of so many f32 elements. Copies share the memory, as those of a Tensor do.
class TracedTensor {
 public:
  TracedTensor() = default;
  std::int64_t count() const { return count_; }

 private:
  friend class MemoryTrace;
  std::shared_ptr<const void> memory_;
  std::int64_t count_ = 0;
  int node_ = -1;  // of the op that made it; -1: no history
};

// How an op's backward gives the gradient of its inputs (Gradients in node.h).
enum class Delivery : std::uint8_t {
  written,    // write(): straight to where it lives, or onto what is there
  fresh,      // add() of a new array
  passed_on,  // add() of the incoming gradient itself
  in_place,   // add() of the incoming gradient, overwritten if nobody else holds it
  over_kept,  // add() of what the op kept first, overwritten if nobody else holds it
  prepared,   // add() of an array that the forward pass made
};

// An op as the trace sees it. Counts are of f32 elements.
struct TracedOp {
  std::int64_t count = 0;                        // of the result
  std::vector<const TracedTensor*> inputs = {};  // tensors with a history; parameters are left out
  std::vector<const TracedTensor*> keeps = {};   // saved for backward
  bool keeps_result = false;
  bool is_view = false;                             // the result is the first input's memory
  std::vector<std::int64_t> keeps_more = {};        // arrays that the op makes for backward
  std::vector<std::int64_t> forward_scratch = {};   // arrays that are gone when the op returns
  std::vector<std::int64_t> backward_scratch = {};  // made before the inputs' gradients, and
  std::vector<std::int64_t> later_scratch = {};     // behind them
  Delivery delivery = Delivery::written;
};

class MemoryTrace {
 public:
  MemoryTrace();
  ~MemoryTrace();
  MemoryTrace(const MemoryTrace&) = delete;
  MemoryTrace& operator=(const MemoryTrace&) = delete;

  // A tensor whose memory belongs to someone else (a batch).
  TracedTensor input(std::int64_t count) const;
  // Runs an op: ops::record.
  TracedTensor record(const TracedOp& op);
  // Activation checkpointing (core/autograd/checkpoint.h): `function` runs without keeping anything, and again in
  // backward. It must not refer to what is gone by then.
  TracedTensor checkpoint(std::function<TracedTensor()> function);
  // Tensor::backward() of the result of the last op.
  void backward(TracedTensor loss);

  ActivationMemory result() const { return result_; }

 private:
  using Memory = std::shared_ptr<const void>;
  struct Node {
    std::vector<int> inputs = {};           // nodes; -1: wants no gradient
    std::vector<std::int64_t> counts = {};  // of the inputs
    std::vector<Memory> kept = {};
    std::vector<std::int64_t> scratch = {};
    std::vector<std::int64_t> later_scratch = {};
    Delivery delivery = Delivery::written;
    Memory prepared = {};
    std::function<TracedTensor()> again = {};  // a checkpoint's
    Memory incoming = {};
  };

  // The arena's large blocks, as core/array/allocator.cpp hands them out.
  struct Arena {
    std::multiset<std::int64_t> free;
    std::int64_t alive = 0;
    std::int64_t peak = 0;
    std::int64_t reserved = 0;

    std::int64_t take(std::int64_t bytes);  // the size of the block that serves the request
    void give(std::int64_t block);
  };
  class Block;

  Memory allocate(std::int64_t count);
  void walk(int last, int first);
  void run(Node& node, Memory gradient);
  std::vector<Memory> allocate_all(const std::vector<std::int64_t>& counts);
  void deliver(Node& node, std::size_t input, Memory& gradient);
  void add(int target, Memory gradient, std::int64_t count);

  std::unique_ptr<Arena> arena_;  // before the nodes, whose memory goes back to it
  std::vector<Node> nodes_;       // in the order in which they were made; backward goes the other way
  bool recording_ = true;
  ActivationMemory result_;
};

}  // namespace trireme
