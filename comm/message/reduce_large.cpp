#include <algorithm>

#include "trireme/comm/message/large.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/reduce_slots.h"

namespace trireme::comm::message {
namespace {

constexpr std::uint32_t kDataTag = 1;
constexpr std::uint32_t kResultTag = 2;
constexpr std::size_t kPieceBytes = 2 << 20;  // less costs wake-ups, more costs cache
constexpr std::size_t kMaxScratchBytes = 64 << 20;
constexpr std::size_t kLine = 64;
constexpr std::size_t kMaxSwapBytes = 4 << 20;

// Two ranks with a part each may as well swap whole arrays and both add: as many bytes as halves there and sums back,
// and one latency less. For larger arrays the second addition costs more than that.
bool is_swap(const Operation& op, int size) {
  const bool all = op.kind == OpKind::all_reduce || op.kind == OpKind::all_reduce_parts;
  return all && size == 2 && op.layout->slots() == 2 && op.layout->most_parts == 1 &&
         op.output.bytes() <= kMaxSwapBytes;
}

// Of a slice, so that the pieces in flight fit into the scratch memory.
std::size_t piece_bytes(std::size_t slice_bytes, std::size_t slots) {
  const std::size_t room = kMaxScratchBytes / Workspace::kRounds / std::max<std::size_t>(1, slots);
  const std::size_t whole = (slice_bytes + kLine - 1) / kLine * kLine;
  return std::max(kLine, std::min({kPieceBytes, room / kLine * kLine, whole}));
}

// The slices of the ranks, and the pieces of a slice: piece k of all slices makes round k.
class Slicing {
 public:
  Slicing(const Operation& op, int size) : op_(op), size_(size), count_(count_of(op)), swap_(is_swap(op, size)) {
    const std::size_t element = size_of(op.output.dtype());
    line_ = static_cast<std::int64_t>(kLine / element);
    std::int64_t longest = 0;
    for (int rank = 0; rank < size; ++rank) {
      longest = std::max(longest, end_of(rank) - begin_of(rank));
    }
    const auto slots = static_cast<std::size_t>(op.layout->slots());
    piece_ = static_cast<std::int64_t>(piece_bytes(static_cast<std::size_t>(longest) * element, slots) / element);
    rounds_ = (longest + piece_ - 1) / piece_;
  }

  std::int64_t rounds() const { return rounds_; }
  std::int64_t piece() const { return piece_; }
  std::int64_t begin(int rank, std::int64_t round) const {
    return std::min(begin_of(rank) + round * piece_, end_of(rank));
  }
  std::int64_t count(int rank, std::int64_t round) const { return begin(rank, round + 1) - begin(rank, round); }
  // Where this rank's output begins among all elements.
  std::int64_t output_begin(int rank) const { return gathers() ? 0 : begin_of(rank); }
  bool gathers() const { return !swap_ && (op_.kind == OpKind::all_reduce || op_.kind == OpKind::all_reduce_parts); }
  // The slice of each rank is everything.
  bool swaps() const { return swap_; }

 private:
  std::int64_t begin_of(int rank) const {
    if (swap_) {
      return 0;
    }
    if (!op_.offsets.empty()) {
      return op_.offsets[static_cast<std::size_t>(rank)];
    }
    if (op_.kind == OpKind::reduce_scatter) {
      return rank * op_.output.count();
    }
    const std::int64_t lines = (count_ + line_ - 1) / line_;
    return std::min(count_, lines * rank / size_ * line_);
  }
  std::int64_t end_of(int rank) const {
    if (swap_) {
      return count_;
    }
    if (!op_.offsets.empty()) {
      return op_.offsets[static_cast<std::size_t>(rank) + 1];
    }
    return op_.kind == OpKind::reduce_scatter ? (rank + 1) * op_.output.count()
           : rank + 1 == size_                ? count_
                                              : begin_of(rank + 1);
  }

  const Operation& op_;
  const int size_;
  const std::int64_t count_;
  const bool swap_;
  std::int64_t line_ = 0;
  std::int64_t piece_ = 0;
  std::int64_t rounds_ = 0;
};

class Reduction {
 public:
  Reduction(const Operation& op, int rank, int size, Transfers& transfers, Workspace& workspace)
      : op_(op),
        rank_(rank),
        size_(size),
        transfers_(transfers),
        workspace_(workspace),
        slicing_(op, size),
        element_(size_of(op.output.dtype())) {
    piece_bytes_ = static_cast<std::size_t>(slicing_.piece()) * element_;
    foreign_ = static_cast<std::size_t>(op.layout->slots() - parts_of(rank));
    scratch_ = workspace.scratch_of(Workspace::kRounds * foreign_ * piece_bytes_);
  }

  void run() {
    constexpr auto kAhead = static_cast<std::int64_t>(Workspace::kRounds) - 1;
    for (std::int64_t k = 0; k < std::min(kAhead, slicing_.rounds()); ++k) {
      open(k);
    }
    for (std::int64_t k = 0; k < slicing_.rounds(); ++k) {
      wait(round(k).data_in);
      if (slicing_.swaps()) {  // the sum may take the place of what is being sent
        wait(round(k).data_out);
      }
      reduce(k);
      if (slicing_.gathers()) {
        send_results(k);
      }
      if (k > 0) {
        close(k - 1);
      }
      if (k + kAhead < slicing_.rounds()) {
        open(k + kAhead);
      }
    }
    if (slicing_.rounds() > 0) {
      close(slicing_.rounds() - 1);
    }
  }

 private:
  Workspace::Round& round(std::int64_t k) {
    return workspace_.rounds[static_cast<std::size_t>(k) % Workspace::kRounds];
  }
  int parts_of(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return op_.layout->first_slot[r + 1] - op_.layout->first_slot[r];
  }
  const std::byte* own_part(int part) const {
    return op_.kind == OpKind::all_reduce || op_.kind == OpKind::reduce_scatter
               ? op_.input.bytes_data()
               : op_.parts[static_cast<std::size_t>(part)].array.bytes_data();
  }
  // Where the pieces of other ranks' parts arrive: `slot` counts the parts of all ranks without this one's.
  std::byte* arrival(std::int64_t k, std::size_t slot) const {
    return scratch_ + (static_cast<std::size_t>(k) % Workspace::kRounds * foreign_ + slot) * piece_bytes_;
  }
  std::size_t foreign_slot(int peer) const {
    const int first = op_.layout->first_slot[static_cast<std::size_t>(peer)];
    return static_cast<std::size_t>(peer < rank_ ? first : first - parts_of(rank_));
  }
  std::byte* output(int rank, std::int64_t k) const {
    const std::int64_t at = slicing_.begin(rank, k) - slicing_.output_begin(rank_);
    return op_.output.bytes_data() + static_cast<std::size_t>(at) * element_;
  }
  std::size_t bytes(int rank, std::int64_t k) const {
    return static_cast<std::size_t>(slicing_.count(rank, k)) * element_;
  }

  // The receives before the sends: what finds its receive waits for nothing.
  void open(std::int64_t k) {
    Workspace::Round& r = round(k);
    for (int i = 1; i < size_; ++i) {
      const int peer = (rank_ + size_ - i) % size_;
      for (int part = 0; part < parts_of(peer) && bytes(rank_, k) > 0; ++part) {
        std::byte* const to = arrival(k, foreign_slot(peer) + static_cast<std::size_t>(part));
        r.data_in.push_back(transfers_.receive(peer, kDataTag, {to, bytes(rank_, k)}));
      }
      if (slicing_.gathers() && bytes(peer, k) > 0) {
        r.results.push_back(transfers_.receive(peer, kResultTag, {output(peer, k), bytes(peer, k)}));
      }
    }
    for (int i = 1; i < size_; ++i) {
      const int peer = (rank_ + i) % size_;
      for (int part = 0; part < parts_of(rank_) && bytes(peer, k) > 0; ++part) {
        const std::byte* from = own_part(part) + static_cast<std::size_t>(slicing_.begin(peer, k)) * element_;
        r.data_out.push_back(transfers_.send(peer, kDataTag, {from, bytes(peer, k)}));
      }
    }
  }

  void reduce(std::int64_t k) {
    if (bytes(rank_, k) == 0) {
      return;
    }
    const std::size_t begin = static_cast<std::size_t>(slicing_.begin(rank_, k)) * element_;
    workspace_.sources.clear();
    for (int peer = 0; peer < size_; ++peer) {
      for (int part = 0; part < parts_of(peer); ++part) {
        workspace_.sources.push_back(peer == rank_ ? own_part(part) + begin
                                                   : arrival(k, foreign_slot(peer) + static_cast<std::size_t>(part)));
      }
    }
    std::byte* const to = output(rank_, k);
    reduce_slots({op_.output.dtype(), op_.op, op_.layout->plan, workspace_.sources, {&to, 1}},
                 slicing_.count(rank_, k));
  }

  void send_results(std::int64_t k) {
    for (int i = 1; i < size_ && bytes(rank_, k) > 0; ++i) {
      const int peer = (rank_ + i) % size_;
      round(k).results.push_back(transfers_.send(peer, kResultTag, {output(rank_, k), bytes(rank_, k)}));
    }
  }

  void close(std::int64_t k) {
    wait(round(k).results);
    wait(round(k).data_out);
  }
  void wait(std::vector<Transfers::Handle>& handles) {
    for (const Transfers::Handle handle : handles) {
      transfers_.wait(handle);
    }
    handles.clear();
  }

  const Operation& op_;
  const int rank_;
  const int size_;
  Transfers& transfers_;
  Workspace& workspace_;
  const Slicing slicing_;
  const std::size_t element_;
  std::size_t piece_bytes_ = 0;
  std::size_t foreign_ = 0;  // parts of other ranks
  std::byte* scratch_ = nullptr;
};

}  // namespace

std::size_t reduction_scratch(std::size_t slice_bytes, std::size_t slots, std::size_t foreign) {
  return Workspace::kRounds * foreign * piece_bytes(slice_bytes, slots);
}

std::byte* Workspace::scratch_of(std::size_t bytes) {
  if (scratch.bytes() < bytes) {
    scratch = Array::empty({static_cast<std::int64_t>(bytes)}, DType::u8);
  }
  return bytes == 0 ? nullptr : scratch.bytes_data();
}

void reduce_large(const Operation& operation, int rank, int size, Transfers& transfers, Workspace& workspace) {
  for (Workspace::Round& round : workspace.rounds) {  // a failed operation may have left something
    round.data_in.clear();
    round.data_out.clear();
    round.results.clear();
  }
  Reduction(operation, rank, size, transfers, workspace).run();
}

}  // namespace trireme::comm::message
