// The row of pieces: how stages move on, and for what a rank may block.
#include <algorithm>
#include <thread>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/hierarchical/hierarchical_communicator.h"
#include "trireme/comm/hierarchical/stages.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr auto kGrace = std::chrono::milliseconds(500);  // of each stage after the first
constexpr int kPollsBeforeNaps = 200;
constexpr auto kNap = std::chrono::microseconds(50);

// Between two polls of somebody who has to look at several things and can sleep on none.
void rest(int polls) {
  if (polls < kPollsBeforeNaps) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace

void HierarchicalCommunicator::queue(const std::shared_ptr<Chain>& chain) {
  const auto pieces = static_cast<std::uint64_t>(chain->pieces);
  std::size_t size = row_.size();
  while (queued_ - completed_ + pieces > size) {
    size *= 2;
  }
  if (size > row_.size()) {
    std::vector<Piece> larger(size);
    for (std::uint64_t number = completed_; number < queued_; ++number) {
      larger[number % size] = std::move(piece(number));
    }
    row_ = std::move(larger);
  }
  for (std::int64_t index = 0; index < chain->pieces; ++index) {
    Piece& next = piece(queued_++);
    next.chain = chain;
    next.index = index;
  }
}

void HierarchicalCommunicator::advance() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (int stage = 0; stage < kStages; ++stage) {
      changed |= finish_pieces(stage);
      changed |= start_pieces(stage);
    }
  }
  complete_pieces();
}

bool HierarchicalCommunicator::finish_pieces(int stage) {
  const auto s = static_cast<std::size_t>(stage);
  bool changed = false;
  while (finished_[s] < started_[s]) {
    const Piece& oldest = piece(finished_[s]);
    const bool done = on_parts(oldest.chain->operation, level_of(*oldest.chain, stage), [&] {
      return std::all_of(oldest.works[s].begin(), oldest.works[s].end(), [](const Work& work) { return work.done(); });
    });
    if (!done) {
      break;
    }
    ++finished_[s];
    changed = true;
  }
  return changed;
}

bool HierarchicalCommunicator::start_pieces(int stage) {
  const auto s = static_cast<std::size_t>(stage);
  const std::uint64_t ready = stage == kFirst ? queued_ : finished_[s - 1];
  const bool changed = started_[s] < ready;
  for (; started_[s] < ready; ++started_[s]) {
    Piece& next = piece(started_[s]);
    on_parts(next.chain->operation, level_of(*next.chain, stage), [&] { start_stage(next, stage); });
  }
  return changed;
}

void HierarchicalCommunicator::start_stage(Piece& piece, int stage) {
  const OpOptions options = options_of(*piece.chain, stage);
  if (Communicator* only = levels_.only()) {
    if (stage == kFirst) {
      piece.works[kFirst].push_back(start_same(*only, piece.chain->operation, options));
    }
    return;
  }
  switch (piece.chain->operation.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts:
      return start_all_reduce(levels_, piece, stage, options);
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts:
      return start_reduce_scatter(levels_, piece, stage, options);
    case OpKind::all_gather:
      return start_all_gather(levels_, piece, stage, options);
    case OpKind::all_to_all:
      return start_all_to_all(levels_, piece, stage, options);
    case OpKind::broadcast:
      return start_broadcast(levels_, piece, stage, options);
    default:
      return start_barrier(levels_, piece, stage, options);
  }
}

// Later stages have a little more time: a rank that waits for another host hears from it who is missing there.
OpOptions HierarchicalCommunicator::options_of(const Chain& chain, int stage) const {
  const Operation& operation = chain.operation;
  const auto left = operation.start + operation.timeout + stage * kGrace - std::chrono::steady_clock::now();
  const bool keeps_order = levels_.only() != nullptr || operation.kind == OpKind::all_reduce;
  return {.name = chain.tag.view(),
          .timeout = std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(1)),
          .order = keeps_order ? operation.order : ReduceOrder::canonical};
}

HierarchicalCommunicator::Level HierarchicalCommunicator::level_of(const Chain& chain, int stage) const {
  if (levels_.only() != nullptr) {
    return levels_.only() == levels_.whole.get() ? Level::whole : Level::inside;
  }
  if (stage != kAcross) {
    return Level::inside;
  }
  return chain.operation.kind == OpKind::all_to_all ? Level::whole : Level::across;
}

void HierarchicalCommunicator::complete_pieces() {
  for (; completed_ < finished_[kLast]; ++completed_) {
    Piece& over = piece(completed_);
    if (over.index + 1 == over.chain->pieces) {
      over.chain->done = true;
      recorder().completed(over.chain->operation.record, std::chrono::steady_clock::now());
    }
    over.chain.reset();
    for (PoolVector<Work>& works : over.works) {
      works.clear();
    }
    over.partials.clear();
    over.result = {};
  }
}

// Of the oldest operation only, as a rank need not have started the others: first stages of all its pieces, which need
// nothing else; then piece by piece. All ranks block in this order, so whoever is furthest back finds all others there
// or on their way.
std::pair<std::uint64_t, int> HierarchicalCommunicator::oldest_stage() const {
  const Chain* oldest = piece(completed_).chain.get();
  if (finished_[kFirst] < started_[kFirst] && piece(finished_[kFirst]).chain.get() == oldest) {
    return {finished_[kFirst], kFirst};
  }
  return {completed_, started_[kLast] > completed_ ? kLast : kAcross};
}

void HierarchicalCommunicator::block_on(Piece& piece, int stage) {
  on_parts(piece.chain->operation, level_of(*piece.chain, stage), [&] {
    for (const Work& work : piece.works[static_cast<std::size_t>(stage)]) {
      work.wait();
    }
  });
}

bool HierarchicalCommunicator::poll_chain(Chain& chain) {
  if (!chain.done) {
    on_behalf_of(chain.operation, [&] { advance(); });
  }
  return chain.done;
}

void HierarchicalCommunicator::wait_for_chain(Chain& chain) {
  if (poll_chain(chain)) {
    return;
  }
  const TimePoint begin = std::chrono::steady_clock::now();
  const TimePoint end = chain.deadline() + kStages * kGrace;
  for (int polls = 0; !poll_chain(chain); ++polls) {
    const auto [number, stage] = oldest_stage();
    Piece& oldest = piece(number);
    if (oldest.chain.get() == &chain || oldest.chain->deadline() <= chain.deadline()) {
      on_behalf_of(chain.operation, [&, stage = stage] { block_on(oldest, stage); });
      continue;
    }
    rest(polls);  // the older operation may wait for longer than this one
    if (std::chrono::steady_clock::now() > end) {
      fail({fmt::format("the deadline of {} ms passed; {}, which was started earlier, is not complete",
                        chain.operation.timeout.count(), describe(oldest.chain->operation)),
            {}});
    }
  }
  add_waiting(std::chrono::steady_clock::now() - begin);
}

bool HierarchicalCommunicator::poll_message(Message& message) {
  if (!message.done) {
    on_behalf_of(message.operation, [&] {
      advance();
      message.done =
          on_parts(message.operation, level_of_peer(message.operation.peer), [&] { return message.work.done(); });
    });
    if (message.done) {
      recorder().completed(message.operation.record, std::chrono::steady_clock::now());
    }
  }
  return message.done;
}

// Collectives in flight go on meanwhile: the peer may be about to send only after one of them.
void HierarchicalCommunicator::wait_for_message(Message& message) {
  if (poll_message(message)) {
    return;
  }
  const TimePoint begin = std::chrono::steady_clock::now();
  const TimePoint end = message.operation.start + message.operation.timeout;
  for (int polls = 0; !poll_message(message); ++polls) {
    if (is_idle() || std::chrono::steady_clock::now() > end) {
      on_behalf_of(message.operation, [&] {
        on_parts(message.operation, level_of_peer(message.operation.peer), [&] { message.work.wait(); });
      });
    } else {
      rest(polls);
    }
  }
  add_waiting(std::chrono::steady_clock::now() - begin);
}

bool Chain::poll() { return owner->poll_chain(*this); }
void Chain::wait() { owner->wait_for_chain(*this); }
bool Message::poll() { return owner->poll_message(*this); }
void Message::wait() { owner->wait_for_message(*this); }

}  // namespace trireme::comm::hierarchical
