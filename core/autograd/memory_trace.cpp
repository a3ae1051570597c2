#include "trireme/core/autograd/memory_trace.h"

#include <algorithm>
#include <utility>

#include "trireme/core/array/allocator.h"
#include "trireme/core/array/storage.h"
#include "trireme/core/base/error.h"

namespace trireme {
namespace {

std::int64_t bytes_of_array(std::int64_t count) {
  return static_cast<std::int64_t>(pool_block_bytes(sizeof(Storage) + static_cast<std::size_t>(count) * sizeof(float)));
}

}  // namespace

// A stand-in for a Storage: alive while somebody holds it.
class MemoryTrace::Block {
 public:
  Block(std::int64_t bytes, Arena& arena) : bytes_(arena.take(bytes)), arena_(arena) {}
  ~Block() { arena_.give(bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

 private:
  std::int64_t bytes_;
  Arena& arena_;
};

std::int64_t MemoryTrace::Arena::take(std::int64_t bytes) {
  const auto fitting = free.lower_bound(bytes);
  std::int64_t block = bytes;
  if (fitting != free.end() && *fitting <= bytes + bytes / 8) {
    block = *fitting;
    free.erase(fitting);
  } else {
    reserved += bytes;
  }
  alive += block;
  peak = std::max(peak, alive);
  return block;
}

void MemoryTrace::Arena::give(std::int64_t block) {
  alive -= block;
  free.insert(block);
}

MemoryTrace::MemoryTrace() : arena_(std::make_unique<Arena>()) {}
MemoryTrace::~MemoryTrace() = default;

MemoryTrace::Memory MemoryTrace::allocate(std::int64_t count) {
  return std::make_shared<const Block>(bytes_of_array(count), *arena_);
}

std::vector<MemoryTrace::Memory> MemoryTrace::allocate_all(const std::vector<std::int64_t>& counts) {
  std::vector<Memory> all;
  for (const std::int64_t count : counts) {
    all.push_back(allocate(count));
  }
  return all;
}

TracedTensor MemoryTrace::input(std::int64_t count) const {
  TracedTensor tensor;
  tensor.memory_ = std::make_shared<const int>(0);
  tensor.count_ = count;
  return tensor;
}

TracedTensor MemoryTrace::record(const TracedOp& op) {
  TracedTensor result;
  result.count_ = op.count;
  result.memory_ = op.is_view ? op.inputs.front()->memory_ : allocate(op.count);
  Node node{.scratch = op.backward_scratch, .later_scratch = op.later_scratch, .delivery = op.delivery};
  for (const TracedTensor* input : op.inputs) {
    node.inputs.push_back(input->node_);
    node.counts.push_back(input->count_);
  }
  for (const TracedTensor* kept : op.keeps) {
    node.kept.push_back(kept->memory_);
  }
  for (const std::int64_t count : op.keeps_more) {
    node.kept.push_back(allocate(count));
  }
  if (op.keeps_result) {
    node.kept.push_back(result.memory_);
  }
  if (op.delivery == Delivery::prepared && recording_ && op.inputs.front()->node_ >= 0) {
    node.prepared = allocate(op.inputs.front()->count_);
  }
  const std::vector<Memory> scratch = allocate_all(op.forward_scratch);
  if (recording_) {
    result.node_ = static_cast<int>(nodes_.size());
    nodes_.push_back(std::move(node));
  }
  return result;
}

TracedTensor MemoryTrace::checkpoint(std::function<TracedTensor()> function) {
  if (!recording_) {
    return function();
  }
  recording_ = false;
  TracedTensor result = function();
  recording_ = true;
  result.node_ = static_cast<int>(nodes_.size());
  Node node{};
  node.again = std::move(function);
  nodes_.push_back(std::move(node));
  return result;
}

void MemoryTrace::backward(TracedTensor loss) {
  require(loss.node_ >= 0 && loss.node_ + 1 == static_cast<int>(nodes_.size()),
          "MemoryTrace::backward: the result of the last op expected");
  result_.kept = arena_->alive;
  result_.forward_peak = arena_->peak;
  arena_->peak = arena_->alive;
  nodes_.back().incoming = allocate(loss.count_);
  walk(loss.node_, 0);
  nodes_.clear();
  result_.backward_peak = arena_->peak;
  result_.reserved = arena_->reserved;
}

// The real tape runs, of all nodes that have all their gradients, the newest first: as consumers are newer than what
// they consume, that is the reverse of the order in which nodes were made.
void MemoryTrace::walk(int last, int first) {
  for (int i = last; i >= first; --i) {
    Memory gradient = std::exchange(nodes_[static_cast<std::size_t>(i)].incoming, {});
    if (gradient == nullptr) {
      nodes_[static_cast<std::size_t>(i)] = {};
      continue;
    }
    if (auto again = std::exchange(nodes_[static_cast<std::size_t>(i)].again, {})) {
      const auto inner = static_cast<int>(nodes_.size());
      again();
      nodes_.back().incoming = gradient;  // shared with the outer node, which holds it to its end
      walk(static_cast<int>(nodes_.size()) - 1, inner);
      nodes_.resize(static_cast<std::size_t>(inner));
    } else {
      run(nodes_[static_cast<std::size_t>(i)], std::move(gradient));
    }
    nodes_[static_cast<std::size_t>(i)] = {};
  }
}

void MemoryTrace::run(Node& node, Memory gradient) {
  const std::vector<Memory> scratch = allocate_all(node.scratch);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] >= 0) {
      deliver(node, i, gradient);
    }
  }
  const std::vector<Memory> later = allocate_all(node.later_scratch);
}

void MemoryTrace::deliver(Node& node, std::size_t input, Memory& gradient) {
  const std::int64_t count = node.counts[input];
  const int target = node.inputs[input];
  switch (node.delivery) {
    case Delivery::written: {
      Memory& place = nodes_[static_cast<std::size_t>(target)].incoming;
      if (place == nullptr || place.use_count() > 1) {
        place = allocate(count);
      }
      return;
    }
    case Delivery::fresh:
      return add(target, allocate(count), count);
    case Delivery::passed_on:
      return add(target, gradient, count);
    case Delivery::in_place:
      return add(target, gradient.use_count() == 1 ? std::move(gradient) : allocate(count), count);
    case Delivery::over_kept:
      return add(target, node.kept.front().use_count() == 1 ? std::move(node.kept.front()) : allocate(count), count);
    case Delivery::prepared:
      return add(target, std::move(node.prepared), count);
  }
}

// Gradients::add: the first is taken over; onto what is there already the next is added, in memory of its own.
void MemoryTrace::add(int target, Memory gradient, std::int64_t count) {
  Memory& place = nodes_[static_cast<std::size_t>(target)].incoming;
  if (place == nullptr) {
    place = std::move(gradient);
  } else if (place.use_count() > 1) {
    place = allocate(count);
  }
}

}  // namespace trireme
