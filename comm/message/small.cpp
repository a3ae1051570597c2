#include "trireme/comm/message/small.h"

#include <algorithm>
#include <cstring>

#include "trireme/comm/message/opening.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/reduce_slots.h"

namespace trireme::comm::message {
namespace {

bool has_parts(OpKind kind) { return kind == OpKind::all_reduce_parts || kind == OpKind::reduce_scatter_parts; }

std::int64_t largest_piece(std::span<const std::int64_t> offsets) {
  std::int64_t largest = 0;
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    largest = std::max(largest, offsets[i] - offsets[i - 1]);
  }
  return largest;
}

std::size_t append(const Array& array, std::span<std::byte> payload, std::size_t at) {
  if (array.count() > 0) {
    std::memcpy(payload.data() + at, array.bytes_data(), array.bytes());
  }
  return at + array.bytes();
}

void copy(const Array& to, std::size_t offset, const std::byte* from, std::size_t bytes) {
  if (bytes > 0 && to.bytes_data() + offset != from) {  // in place: others may be reading there
    std::memmove(to.bytes_data() + offset, from, bytes);
  }
}

// The first element of this rank's output among all elements.
std::int64_t first_element(const Operation& op, int rank) {
  switch (op.kind) {
    case OpKind::reduce_scatter:
      return rank * op.output.count();
    case OpKind::reduce_scatter_parts:
      return op.offsets[static_cast<std::size_t>(rank)];
    default:
      return 0;
  }
}

void finish_reduction(const Operation& op, int rank, std::span<const std::byte* const> payloads,
                      std::vector<const std::byte*>& sources) {
  if (op.output.count() == 0) {
    return;
  }
  const std::size_t whole = static_cast<std::size_t>(count_of(op)) * size_of(op.output.dtype());
  const std::size_t offset = static_cast<std::size_t>(first_element(op, rank)) * size_of(op.output.dtype());
  sources.clear();
  for (int peer = 0; peer < static_cast<int>(payloads.size()); ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    const int parts = op.layout->first_slot[p + 1] - op.layout->first_slot[p];
    for (int part = 0; part < parts; ++part) {
      const auto i = static_cast<std::size_t>(part);
      const std::byte* from = peer != rank         ? payloads[p] + i * whole
                              : has_parts(op.kind) ? op.parts[i].array.bytes_data()
                                                   : op.input.bytes_data();
      sources.push_back(from + offset);
    }
  }
  std::byte* const output = op.output.bytes_data();
  reduce_slots({op.output.dtype(), op.op, op.layout->plan, sources, {&output, 1}}, op.output.count());
}

void finish_all_gather(const Operation& op, int rank, std::span<const std::byte* const> payloads) {
  const std::size_t element = size_of(op.output.dtype());
  std::size_t at = 0;
  for (std::size_t peer = 0; peer < payloads.size(); ++peer) {
    const std::size_t bytes = op.offsets.empty()
                                  ? op.input.bytes()
                                  : static_cast<std::size_t>(op.offsets[peer + 1] - op.offsets[peer]) * element;
    if (bytes > 0) {
      copy(op.output, at, peer == static_cast<std::size_t>(rank) ? op.input.bytes_data() : payloads[peer], bytes);
    }
    at += bytes;
  }
}

void finish_all_to_all(const Operation& op, int rank, std::span<const std::byte* const> payloads) {
  const std::size_t piece = op.input.bytes() / payloads.size();
  for (std::size_t peer = 0; peer < payloads.size() && piece > 0; ++peer) {
    const std::byte* from = peer == static_cast<std::size_t>(rank) ? op.input.bytes_data() : payloads[peer];
    copy(op.output, peer * piece, from + static_cast<std::size_t>(rank) * piece, piece);
  }
}

}  // namespace

bool is_small(const Operation& op, int size) {
  if (op.kind == OpKind::barrier) {
    return true;
  }
  std::int64_t count = count_of(op);
  if (has_parts(op.kind)) {
    count *= op.layout->most_parts;
  } else if (op.kind == OpKind::all_gather) {
    count = op.offsets.empty() ? count / size : largest_piece(op.offsets);
  }
  return static_cast<std::size_t>(count) <= kMaxPayloadBytes / size_of(dtype_of_operation(op));
}

std::size_t fill_payload(const Operation& op, int rank, std::span<std::byte> payload) {
  std::size_t bytes = 0;
  switch (op.kind) {
    case OpKind::barrier:
      break;
    case OpKind::all_reduce_parts:
    case OpKind::reduce_scatter_parts:
      for (const Part& part : op.parts) {
        bytes = append(part.array, payload, bytes);
      }
      break;
    case OpKind::broadcast:
      bytes = op.peer == rank ? append(op.input, payload, 0) : 0;
      break;
    default:
      bytes = append(op.input, payload, 0);
  }
  return bytes;
}

void finish_small(const Operation& op, int rank, std::span<const std::byte* const> payloads,
                  std::vector<const std::byte*>& sources) {
  switch (op.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts:
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts:
      return finish_reduction(op, rank, payloads, sources);
    case OpKind::all_gather:
      return finish_all_gather(op, rank, payloads);
    case OpKind::all_to_all:
      return finish_all_to_all(op, rank, payloads);
    case OpKind::broadcast:
      if (op.peer != rank) {
        copy(op.output, 0, payloads[static_cast<std::size_t>(op.peer)], op.output.bytes());
      }
      return;
    default:  // a barrier has no data; messages are no collectives
      return;
  }
}

}  // namespace trireme::comm::message
