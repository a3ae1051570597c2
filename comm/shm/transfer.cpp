#include "trireme/comm/shm/transfer.h"

#include <algorithm>
#include <cstring>

#include "trireme/comm/operation_text.h"
#include "trireme/comm/reduce_slots.h"
#include "trireme/comm/shm/futex.h"

namespace trireme::comm::shm {
namespace {

constexpr std::size_t kLine = 64;

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0 && to != from) {
    std::memcpy(to, from, bytes);
  }
}

// As copy_bytes, to memory whose lines the peers have read last. A store to such a line waits for it, and few stores
// wait at a time; asked for beforehand, many lines come at once.
void copy_to_shared(std::byte* to, const std::byte* from, std::size_t bytes) {
  constexpr std::size_t kBlock = 2048;
  const auto own = [&](std::size_t begin) {
    for (std::size_t line = begin; line < std::min(bytes, begin + kBlock); line += kLine) {
      own_soon(to + line);
    }
  };
  own(0);
  for (std::size_t begin = 0; begin < bytes; begin += kBlock) {
    own(begin + kBlock);
    std::memcpy(to + begin, from + begin, std::min(kBlock, bytes - begin));
  }
}

// Cells of a buffer, and the elements that each must take over all rounds.
struct Row {
  std::int64_t cells;
  std::int64_t elements;
};

std::int64_t longest_piece(const Operation& op, std::int64_t whole, int size) {
  if (op.offsets.empty()) {
    return whole / size;
  }
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < op.offsets.size(); ++i) {
    longest = std::max(longest, op.offsets[i] - op.offsets[i - 1]);
  }
  return longest;
}

Row row_of(const Operation& op, int size) {
  const std::int64_t parts = op.layout == nullptr ? 1 : std::max<std::int64_t>(1, op.layout->most_parts);
  const std::int64_t count = count_of(op);
  switch (op.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts:
      return {parts, count};
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts:
      return {parts * size, longest_piece(op, count, size)};
    case OpKind::all_gather:
      return {1, longest_piece(op, count, size)};
    case OpKind::all_to_all:
      return {size, count / size};
    case OpKind::broadcast:
      return {1, count};
    default:
      return {1, 0};
  }
}

}  // namespace

Cut cut_for(const Operation& op, int size, std::size_t buffer_bytes) {
  const Row row = row_of(op, size);
  const std::size_t element = size_of(dtype_of_operation(op));
  const std::size_t room = buffer_bytes / static_cast<std::size_t>(row.cells);
  const std::size_t lines = room / kLine * kLine;
  const auto cell = static_cast<std::int64_t>((lines > 0 ? lines : room) / element);
  if (cell == 0) {
    fail("{}: {} cells do not fit in an exchange buffer of {} bytes; use fewer ranks a host", describe(op), row.cells,
         buffer_bytes);
  }
  return {cell, std::max<std::int64_t>(1, (row.elements + cell - 1) / cell)};
}

Cut whole_cut(const Operation& op, int size) {
  const auto line = static_cast<std::int64_t>(kLine);  // elements, so at least a line of bytes: cells begin at lines
  return {(row_of(op, size).elements + line - 1) / line * line, 1};
}

bool fits(const Operation& op, int size, std::size_t buffer_bytes) {
  const Row row = row_of(op, size);
  if (row.elements > static_cast<std::int64_t>(buffer_bytes)) {  // before a product could overflow
    return false;
  }
  return static_cast<std::size_t>(row.cells * whole_cut(op, size).cell) * size_of(dtype_of_operation(op)) <=
         buffer_bytes;
}

std::size_t Transfer::element() const { return size_of(dtype_of_operation(op_)); }

Transfer::Range Transfer::piece_of(int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  if (!op_.offsets.empty()) {
    return {op_.offsets[r], op_.offsets[r + 1]};
  }
  const std::int64_t piece = count_of(op_) / size_;
  return {rank * piece, (rank + 1) * piece};
}

Transfer::Range Transfer::window(Range range, const Cut& cut, std::int64_t round) {
  const std::int64_t begin = std::min(range.end, range.begin + round * cut.cell);
  return {begin, std::min(range.end, begin + cut.cell)};
}

Transfer::Range Transfer::slice_of(std::int64_t count) const {
  const auto line = static_cast<std::int64_t>(kLine / element());
  const std::int64_t lines = (count + line - 1) / line;
  const auto cut = [&](std::int64_t rank) { return std::min(count, lines * rank / size_ * line); };
  return {cut(rank_), cut(rank_ + 1)};
}

std::int64_t Transfer::parts_of(int rank) const {
  return op_.layout->first_slot[static_cast<std::size_t>(rank) + 1] -
         op_.layout->first_slot[static_cast<std::size_t>(rank)];
}

const std::byte* Transfer::part_data(std::int64_t part) const {
  return op_.parts.empty() ? op_.input.bytes_data() : op_.parts[static_cast<std::size_t>(part)].array.bytes_data();
}

void Transfer::fill(const Cut& cut, std::int64_t round, std::byte* buffer) const {
  const std::size_t cell = bytes(cut.cell);
  const auto put = [&](std::int64_t index, const std::byte* array, Range range) {
    copy_to_shared(buffer + static_cast<std::size_t>(index) * cell, array + bytes(range.begin), bytes(range.count()));
  };
  switch (op_.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts:
      for (std::int64_t part = 0; part < parts_of(rank_); ++part) {
        put(part, part_data(part), window({0, count_of(op_)}, cut, round));
      }
      return;
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts:
      for (std::int64_t part = 0; part < parts_of(rank_); ++part) {
        for (int to = 0; to < size_; ++to) {
          put(part * size_ + to, part_data(part), window(piece_of(to), cut, round));
        }
      }
      return;
    case OpKind::all_to_all:
      for (int to = 0; to < size_; ++to) {
        put(to, op_.input.bytes_data(), window(piece_of(to), cut, round));
      }
      return;
    case OpKind::all_gather:
      put(0, op_.input.bytes_data(), window({0, op_.input.count()}, cut, round));
      return;
    case OpKind::broadcast:
      if (rank_ == op_.peer) {
        put(0, op_.input.bytes_data(), window({0, op_.input.count()}, cut, round));
      }
      return;
    default:
      return;
  }
}

// The sources of a reduction in slot order: cell (part, destination) of every rank's buffer, `skip` elements in.
void Transfer::gather_sources(const Cut& cut, std::int64_t destination, std::int64_t destinations, std::int64_t skip,
                              Places& places) const {
  places.sources.clear();
  for (int rank = 0; rank < size_; ++rank) {
    const std::byte* buffer = places.buffers[static_cast<std::size_t>(rank)];
    for (std::int64_t part = 0; part < parts_of(rank); ++part) {
      places.sources.push_back(buffer + bytes((part * destinations + destination) * cut.cell + skip));
    }
  }
}

void Transfer::reduce(std::span<const std::byte* const> sources, std::span<std::byte* const> outputs,
                      std::int64_t count) const {
  reduce_slots({dtype_of_operation(op_), op_.op, op_.layout->plan, sources, outputs}, count);
}

void Transfer::pull(const Cut& cut, std::int64_t round, Places& places) const {
  std::byte* const output = op_.output.bytes_data();
  switch (op_.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts: {
      const Range range = window({0, count_of(op_)}, cut, round);
      gather_sources(cut, 0, 1, 0, places);
      std::byte* const to = output + bytes(range.begin);
      reduce(places.sources, {&to, 1}, range.count());
      return;
    }
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts: {
      const Range range = window(piece_of(rank_), cut, round);
      gather_sources(cut, rank_, size_, 0, places);
      std::byte* const to = output + bytes(range.begin - piece_of(rank_).begin);
      reduce(places.sources, {&to, 1}, range.count());
      return;
    }
    case OpKind::all_gather:
    case OpKind::all_to_all: {
      const std::size_t cell = op_.kind == OpKind::all_to_all ? bytes(rank_ * cut.cell) : 0;
      for (int from = 0; from < size_; ++from) {
        const Range range = window(piece_of(from), cut, round);
        copy_bytes(output + bytes(range.begin), places.buffers[static_cast<std::size_t>(from)] + cell,
                   bytes(range.count()));
      }
      return;
    }
    case OpKind::broadcast:
      if (rank_ != op_.peer) {
        const Range range = window({0, count_of(op_)}, cut, round);
        copy_bytes(output + bytes(range.begin), places.buffers[static_cast<std::size_t>(op_.peer)],
                   bytes(range.count()));
      }
      return;
    default:
      return;
  }
}

void Transfer::push(const Cut& cut, std::int64_t round, Places& places) const {
  const Range slice = slice_of(window({0, count_of(op_)}, cut, round).count());
  gather_sources(cut, 0, 1, slice.begin, places);
  places.outputs.clear();
  for (std::byte* buffer : places.buffers) {
    places.outputs.push_back(buffer + bytes(slice.begin));
  }
  reduce(places.sources, places.outputs, slice.count());
}

void Transfer::drain(const Cut& cut, std::int64_t round, const std::byte* buffer) const {
  const Range range = window({0, count_of(op_)}, cut, round);
  copy_bytes(op_.output.bytes_data() + bytes(range.begin), buffer, bytes(range.count()));
}

void Transfer::direct(Places& places) const {
  std::byte* const output = op_.output.bytes_data();
  switch (op_.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts: {
      const Range slice = slice_of(count_of(op_));
      for (const std::byte*& source : places.sources) {
        source += bytes(slice.begin);
      }
      for (std::byte*& to : places.outputs) {
        to += bytes(slice.begin);
      }
      reduce(places.sources, places.outputs, slice.count());
      return;
    }
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts: {
      const Range range = piece_of(rank_);
      for (const std::byte*& source : places.sources) {
        source += bytes(range.begin);
      }
      reduce(places.sources, {&output, 1}, range.count());
      return;
    }
    case OpKind::all_gather:
      for (int from = 0; from < size_; ++from) {
        const Range range = piece_of(from);
        copy_bytes(output + bytes(range.begin), places.sources[static_cast<std::size_t>(from)], bytes(range.count()));
      }
      return;
    case OpKind::all_to_all:
      for (int from = 0; from < size_; ++from) {
        const Range mine = piece_of(rank_);
        copy_bytes(output + bytes(piece_of(from).begin),
                   places.sources[static_cast<std::size_t>(from)] + bytes(mine.begin), bytes(mine.count()));
      }
      return;
    case OpKind::broadcast:
      if (rank_ != op_.peer) {
        copy_bytes(output, places.sources[static_cast<std::size_t>(op_.peer)], op_.output.bytes());
      }
      return;
    default:
      return;
  }
}

}  // namespace trireme::comm::shm
