#include <algorithm>
#include <cstring>

#include "trireme/comm/message/large.h"

namespace trireme::comm::message {
namespace {

constexpr std::uint32_t kTag = 3;
constexpr std::size_t kLinkBytes = 1 << 20;  // of a broadcast's chain
constexpr std::int64_t kLinksAhead = 4;

struct Region {
  std::byte* data;
  std::size_t bytes;
  Region piece(std::size_t begin, std::size_t most) const {
    return {data + begin, std::min(most, bytes - std::min(bytes, begin))};
  }
};

// All to all: from[rank] goes to that rank, to[rank] comes from it, in transfers of a legal length.
template <class From, class To>
void exchange(int rank, int size, Transfers& transfers, Workspace& workspace, From from, To to) {
  workspace.handles.clear();
  for (int i = 1; i < size; ++i) {
    const int source = (rank + size - i) % size;
    const Region region = to(source);
    for (std::size_t at = 0; at < region.bytes; at += Link::kMaxTransferBytes) {
      const Region piece = region.piece(at, Link::kMaxTransferBytes);
      workspace.handles.push_back(transfers.receive(source, kTag, {piece.data, piece.bytes}));
    }
  }
  for (int i = 1; i < size; ++i) {
    const int destination = (rank + i) % size;
    const Region region = from(destination);
    for (std::size_t at = 0; at < region.bytes; at += Link::kMaxTransferBytes) {
      const Region piece = region.piece(at, Link::kMaxTransferBytes);
      workspace.handles.push_back(transfers.send(destination, kTag, {piece.data, piece.bytes}));
    }
  }
  const Region own = to(rank);
  if (own.bytes > 0 && from(rank).data != own.data) {
    std::memmove(own.data, from(rank).data, own.bytes);
  }
  for (const Transfers::Handle handle : workspace.handles) {
    transfers.wait(handle);
  }
}

}  // namespace

void all_gather_large(const Operation& op, int rank, int size, Transfers& transfers, Workspace& workspace) {
  const std::size_t element = size_of(op.output.dtype());
  std::byte* const input = op.input.count() > 0 ? op.input.bytes_data() : nullptr;
  exchange(
      rank, size, transfers, workspace,
      [&](int) {
        return Region{input, op.input.bytes()};
      },
      [&](int peer) {
        const auto p = static_cast<std::size_t>(peer);
        if (op.offsets.empty()) {
          return Region{op.output.bytes_data() + p * op.input.bytes(), op.input.bytes()};
        }
        return Region{op.output.bytes_data() + static_cast<std::size_t>(op.offsets[p]) * element,
                      static_cast<std::size_t>(op.offsets[p + 1] - op.offsets[p]) * element};
      });
}

void all_to_all_large(const Operation& op, int rank, int size, Transfers& transfers, Workspace& workspace) {
  const std::size_t piece = op.input.bytes() / static_cast<std::size_t>(size);
  exchange(
      rank, size, transfers, workspace,
      [&](int peer) {
        return Region{op.input.bytes_data() + static_cast<std::size_t>(peer) * piece, piece};
      },
      [&](int peer) {
        return Region{op.output.bytes_data() + static_cast<std::size_t>(peer) * piece, piece};
      });
}

void broadcast_large(const Operation& op, int rank, int size, Transfers& transfers, Workspace& workspace) {
  const int place = (rank - op.peer + size) % size;  // in the chain; the root is first
  const int before = (rank + size - 1) % size;
  const int next = (rank + 1) % size;
  const Region whole{op.output.bytes_data(), op.output.bytes()};
  const auto links = static_cast<std::int64_t>((whole.bytes + kLinkBytes - 1) / kLinkBytes);
  const auto piece = [&](std::int64_t k) { return whole.piece(static_cast<std::size_t>(k) * kLinkBytes, kLinkBytes); };
  std::vector<Transfers::Handle>& handles = workspace.handles;  // [k % ahead]: in; [ahead + k % ahead]: out
  handles.assign(2 * kLinksAhead, 0);
  const auto in = [&](std::int64_t k) -> Transfers::Handle& {
    return handles[static_cast<std::size_t>(k % kLinksAhead)];
  };
  const auto out = [&](std::int64_t k) -> Transfers::Handle& {
    return handles[static_cast<std::size_t>(kLinksAhead + k % kLinksAhead)];
  };
  const auto expect = [&](std::int64_t k) {
    if (place > 0 && k < links) {
      in(k) = transfers.receive(before, kTag, {piece(k).data, piece(k).bytes});
    }
  };
  for (std::int64_t k = 0; k < kLinksAhead; ++k) {
    expect(k);
  }
  for (std::int64_t k = 0; k < links + kLinksAhead; ++k) {
    if (k < links && place > 0) {
      transfers.wait(in(k));
      expect(k + kLinksAhead);
    }
    if (place + 1 < size && k >= kLinksAhead) {
      transfers.wait(out(k - kLinksAhead));
    }
    if (place + 1 < size && k < links) {
      out(k) = transfers.send(next, kTag, {piece(k).data, piece(k).bytes});
    }
  }
}

}  // namespace trireme::comm::message
