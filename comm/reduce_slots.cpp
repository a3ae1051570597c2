#include "trireme/comm/reduce_slots.h"

#include <cstring>

#include "trireme/comm/combine.h"

namespace trireme::comm {
namespace {

// Elements reduced at a time: sums in progress stay in the nearest cache.
constexpr std::int64_t kBlock = 1024;

// A value on its way to the result: still a source, or a sum in scratch memory.
struct Slot {
  const std::byte* data;
  std::byte* scratch;  // null until the slot is the target of an addition
};

// Scratch memory of the calling thread; grows to the largest reduction met and stays.
class Scratch {
 public:
  std::vector<Slot>& slots(std::size_t count) {
    slots_.resize(std::max(slots_.size(), count));
    return slots_;
  }
  std::byte* block(std::size_t index) {
    const std::size_t bytes = (index + 1) * kBlockBytes;
    if (blocks_.size() < bytes) {
      blocks_.resize(bytes);
    }
    return blocks_.data() + index * kBlockBytes;
  }
  // Makes room, so that block() never moves what it gave out before.
  void reserve(std::size_t blocks) {
    if (blocks > 0) {
      block(blocks - 1);
    }
  }

 private:
  static constexpr std::size_t kBlockBytes = kBlock * sizeof(double);
  std::vector<Slot> slots_;
  std::vector<std::byte> blocks_;
};

void copy_to_outputs(std::span<std::byte* const> outputs, std::size_t first, std::size_t offset, const std::byte* from,
                     std::size_t bytes) {
  for (std::size_t i = first; i < outputs.size(); ++i) {
    if (outputs[i] + offset != from) {
      std::memcpy(outputs[i] + offset, from, bytes);
    }
  }
}

// One block of a type that is combined as it is stored.
void reduce_block(const SlotReduction& r, Scratch& scratch, std::int64_t begin, std::int64_t count) {
  const std::size_t element = size_of(r.dtype);
  const std::size_t offset = static_cast<std::size_t>(begin) * element;
  const std::size_t bytes = static_cast<std::size_t>(count) * element;
  if (r.plan.empty()) {
    copy_to_outputs(r.outputs, 0, offset, r.sources[0] + offset, bytes);
    return;
  }
  std::vector<Slot>& slots = scratch.slots(r.sources.size());
  for (std::size_t i = 0; i < r.sources.size(); ++i) {
    slots[i] = {r.sources[i] + offset, nullptr};
  }
  std::size_t blocks = 0;
  for (std::size_t i = 0; i + 1 < r.plan.size(); ++i) {
    Slot& target = slots[static_cast<std::size_t>(r.plan[i].target)];
    const Slot& source = slots[static_cast<std::size_t>(r.plan[i].source)];
    if (target.scratch == nullptr) {  // a sum whose operands are both finished takes over the right one's block
      target.scratch = source.scratch != nullptr ? source.scratch : scratch.block(blocks++);
    }
    combine(r.dtype, r.op, target.data, source.data, target.scratch, nullptr, count);
    target.data = target.scratch;
  }
  const Slot& left = slots[static_cast<std::size_t>(r.plan.back().target)];
  const Slot& right = slots[static_cast<std::size_t>(r.plan.back().source)];
  std::byte* second = r.outputs.size() > 1 ? r.outputs[1] + offset : nullptr;
  combine(r.dtype, r.op, left.data, right.data, r.outputs[0] + offset, second, count);
  copy_to_outputs(r.outputs, 2, offset, r.outputs[0] + offset, bytes);
}

// One block of halves: all sources widened to f32, combined there, and rounded once.
template <class T>
void reduce_half_block(const SlotReduction& r, Scratch& scratch, std::int64_t begin, std::int64_t count) {
  for (std::size_t i = 0; i < r.sources.size(); ++i) {
    const T* from = reinterpret_cast<const T*>(r.sources[i]) + begin;
    auto* wide = reinterpret_cast<float*>(scratch.block(i));
    for (std::int64_t k = 0; k < count; ++k) {
      wide[k] = static_cast<float>(from[k]);
    }
  }
  for (const Addition add : r.plan) {
    std::byte* target = scratch.block(static_cast<std::size_t>(add.target));
    combine(DType::f32, r.op, target, scratch.block(static_cast<std::size_t>(add.source)), target, nullptr, count);
  }
  const std::size_t result = r.plan.empty() ? 0 : static_cast<std::size_t>(r.plan.back().target);
  const auto* sum = reinterpret_cast<const float*>(scratch.block(result));
  for (std::byte* output : r.outputs) {
    T* to = reinterpret_cast<T*>(output) + begin;
    for (std::int64_t k = 0; k < count; ++k) {
      to[k] = T(sum[k]);
    }
  }
}

// Two sources and two outputs need no scratch: one pass over everything.
bool is_plain_pair(const SlotReduction& r) {
  return r.sources.size() == 2 && r.outputs.size() <= 2 && r.dtype != DType::bf16 && r.dtype != DType::f16;
}

}  // namespace

void reduce_slots(const SlotReduction& r, std::int64_t count) {
  if (count <= 0 || r.outputs.empty()) {
    return;
  }
  if (r.sources.empty()) {
    for (std::byte* output : r.outputs) {
      std::memset(output, 0, static_cast<std::size_t>(count) * size_of(r.dtype));
    }
    return;
  }
  if (is_plain_pair(r)) {
    const auto left = static_cast<std::size_t>(r.plan[0].target);
    combine(r.dtype, r.op, r.sources[left], r.sources[1 - left], r.outputs[0],
            r.outputs.size() > 1 ? r.outputs[1] : nullptr, count);
    return;
  }
  thread_local Scratch scratch;
  scratch.reserve(r.sources.size());
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t length = std::min(kBlock, count - begin);
    if (r.dtype == DType::bf16) {
      reduce_half_block<BFloat16>(r, scratch, begin, length);
    } else if (r.dtype == DType::f16) {
      reduce_half_block<Float16>(r, scratch, begin, length);
    } else {
      reduce_block(r, scratch, begin, length);
    }
  }
}

}  // namespace trireme::comm
