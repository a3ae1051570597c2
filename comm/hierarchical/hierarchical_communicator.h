// The communicator of several hosts; hierarchical.h is the contract.
//
// Pieces of operations stand in one row. Each stage works through the row from the front: it starts a piece when the
// stage before has completed it. So every part communicator sees its operations in the order of the row, which is the
// same on all ranks, whatever their timing.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/hierarchical/chain.h"
#include "trireme/comm/hierarchical/error_text.h"

namespace trireme::comm::hierarchical {

class HierarchicalCommunicator final : public Communicator {
 public:
  // Collective; see connect_hierarchical().
  HierarchicalCommunicator(Hosts hosts, std::shared_ptr<Communicator> inside, std::shared_ptr<Communicator> whole);

  std::string_view backend() const override { return backend_; }
  std::shared_ptr<Communicator> split(int colour, int key) override;
  void abort(std::string_view reason) override;
  Array allocate(const Shape& shape, DType dtype) override { return levels_.first->allocate(shape, dtype); }
  Array allocate_shared(const Shape& shape, DType dtype) override {
    return levels_.hosts.count() == 1 ? levels_.first->allocate_shared(shape, dtype) : Array();
  }
  std::uint64_t bytes_moved() const override;
  std::vector<RankReport> look_at_ranks() override;

 protected:
  std::shared_ptr<WorkState> start(Operation&& operation) override;

 private:
  friend class Chain;
  friend class Message;
  using TimePoint = std::chrono::steady_clock::time_point;
  // On which part communicators an error has happened.
  enum class Level : std::uint8_t { inside, across, whole };

  void join();

  // The row (row.cpp).
  Piece& piece(std::uint64_t number) { return row_[number % row_.size()]; }
  const Piece& piece(std::uint64_t number) const { return row_[number % row_.size()]; }
  bool is_idle() const { return completed_ == queued_; }
  void queue(const std::shared_ptr<Chain>& chain);
  // Moves all stages on without blocking.
  void advance();
  bool finish_pieces(int stage);
  bool start_pieces(int stage);
  void start_stage(Piece& piece, int stage);
  void complete_pieces();
  OpOptions options_of(const Chain& chain, int stage) const;
  Level level_of(const Chain& chain, int stage) const;
  Level level_of_peer(int peer) const;
  void start_message(Message& message);
  // The piece and stage for which a rank may block: all other ranks are on their way to it, or past it.
  std::pair<std::uint64_t, int> oldest_stage() const;
  void block_on(Piece& piece, int stage);
  bool poll_chain(Chain& chain);
  void wait_for_chain(Chain& chain);
  bool poll_message(Message& message);
  void wait_for_message(Message& message);

  // Failures (failing.cpp).
  // f(), which uses part communicators for an operation; an error that it raises breaks this communicator.
  template <class F>
  auto on_parts(const Operation& operation, Level level, F f);
  // f(), called for an operation of the user; an error that it raises becomes one of that operation.
  template <class F>
  auto on_behalf_of(const Operation& operation, F f);
  void fail(Failure failure);
  Failure failure_of(const CommError& error, const Operation& operation, Level level);
  const std::vector<int>& ranks_of(Level level) const;

  // Stalls (stalls.cpp).
  void listen_to_stalls();
  void on_stall(Level level, const Operation& part_operation, const std::vector<int>& missing);
  std::vector<int> late_ranks(const Operation& operation, const std::vector<int>& missing,
                              const std::vector<RankReport>& reports) const;
  [[noreturn]] void raise(const Operation& operation);

  std::mutex told_mutex_;  // before the levels: their threads may tell of stalls until they are gone
  StallClock told_;        // of operations of the whole, each of which has many on its parts
  Levels levels_;
  std::string backend_;
  HostLayouts layouts_;
  std::vector<Piece> row_;    // number modulo its size, a power of two
  std::uint64_t queued_ = 0;  // pieces, of all operations
  std::array<std::uint64_t, kStages> started_{};
  std::array<std::uint64_t, kStages> finished_{};
  std::uint64_t completed_ = 0;  // left the row
  std::mutex mutex_;
  std::optional<Failure> failure_;  // under mutex_
  std::atomic<bool> failed_{false};
};

template <class F>
auto HierarchicalCommunicator::on_parts(const Operation& operation, Level level, F f) {
  try {
    return f();
  } catch (const CommError& error) {
    fail(failure_of(error, operation, level));
    throw;
  } catch (const Error& error) {
    fail({error.what(), {rank()}});
    throw;
  }
}

template <class F>
auto HierarchicalCommunicator::on_behalf_of(const Operation& operation, F f) {
  if (failed_.load()) {
    raise(operation);
  }
  try {
    return f();
  } catch (const Error& error) {
    fail({error.what(), {rank()}});  // nothing new if it came from a part
    raise(operation);
  }
}

}  // namespace trireme::comm::hierarchical
