// Collectives between processes of one host, through shared memory. The default inside one host on CPU.
//
// Arrays from allocate() are reduced where they are: each rank reduces its slice of the elements, reading the parts of
// all ranks, and writes the result to all outputs. Other arrays go through exchange buffers in pieces; small ones
// through mailboxes. There is no helper thread: a rank moves all its operations on whenever it starts, polls or waits
// for one. Waiting spins for some microseconds and then sleeps; the death of a peer is noticed within milliseconds.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/comm/shm/control.h"
#include "trireme/comm/shm/fabric.h"
#include "trireme/comm/shm/transfer.h"

namespace trireme::comm::shm {

// How an operation is carried out; see transfer.h.
enum class Way : std::uint8_t { undecided, mailbox, direct, staged };

class ShmOperation;
class ShmMessage;

class ShmCommunicator final : public Communicator {
 public:
  // A world: blocks until all ranks have arrived, at most `timeout`.
  static std::shared_ptr<ShmCommunicator> connect(int rank, int size, Store& store, std::chrono::milliseconds timeout);

  // members[rank]: its rank in the fabric; controls[rank]: the offset of its control block in its segment.
  ShmCommunicator(std::shared_ptr<Fabric> fabric, int rank, std::vector<int> members,
                  std::vector<std::size_t> controls);
  ~ShmCommunicator() override;

  std::string_view backend() const override { return "shm"; }
  std::shared_ptr<Communicator> split(int colour, int key) override;
  void abort(std::string_view reason) override;
  Array allocate(const Shape& shape, DType dtype) override;
  Array allocate_shared(const Shape& shape, DType dtype) override;
  std::uint64_t bytes_moved() const override { return bytes_moved_; }
  std::vector<RankReport> look_at_ranks() override;

 protected:
  std::shared_ptr<WorkState> start(Operation&& operation) override;

 private:
  friend class ShmOperation;
  friend class ShmMessage;
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Failure {
    std::string cause;
    std::vector<int> ranks;
  };

  void join(std::chrono::milliseconds timeout);
  Control& control(int rank) const { return *controls_[static_cast<std::size_t>(rank)]; }
  Control& own() const { return *controls_[static_cast<std::size_t>(rank())]; }
  std::byte* segment_of(int rank) const { return fabric_->base(members_[static_cast<std::size_t>(rank)]); }
  bool is_world() const;
  std::uint64_t offset_of(const Array& array) const;  // kNowhere if peers cannot reach it
  std::string name_of_rank(int rank) const;           // "rank 3 (pid 812)"

  // Moving on (progress.cpp). None of these blocks; each returns whether something changed.
  bool advance();
  bool publish_next();
  bool share_next();
  bool complete_next();
  bool may_publish(const ShmOperation& operation);
  void publish(ShmOperation& operation);
  bool all_arrived(ShmOperation& operation);
  void check_signatures();
  void check_peers_running();
  void find_places(const ShmOperation& operation, bool mailbox);
  void find_direct_places(const ShmOperation& operation);
  Way way_of(bool small) const;
  bool share(ShmOperation& operation);
  bool share_rounds(ShmOperation& operation);
  bool all_have(std::atomic<std::uint64_t> Control::*counter, std::uint64_t value) const;
  void reserve_exchange();

  // Messages (messages.cpp).
  bool advance_messages();
  bool must_queue(std::size_t index) const;

  // Waiting and failing (waiting.cpp).
  template <class State>
  bool try_finish(const State& state);
  template <class State>
  bool poll_state(const State& state);
  template <class Done>
  void wait_until(const Operation& operation, Done done);
  void poll_failures(const Operation& operation);
  void check_failures(const Operation& operation, TimePoint now);
  bool is_gone(int peer) const;
  void check_gone(const Operation& operation, int peer);
  std::vector<int> missing_ranks(const Operation& operation) const;
  bool is_open(const Operation& message) const;
  const Operation& oldest_unfinished(const Operation& otherwise) const;
  void check_deadline(const Operation& operation, TimePoint now);
  RankReport look_at(int rank) const;
  void ring(int rank) const;
  void ring_parked() const;
  void fail(std::string cause, std::vector<int> ranks);
  void adopt_failure(int peer);
  void show_failure(const std::string& cause, int culprit, std::uint64_t at) const;
  bool has_failed_before(int peer, std::uint64_t sequence) const;
  [[noreturn]] void raise(const Operation& operation) const;

  std::shared_ptr<Fabric> fabric_;
  std::shared_ptr<Segment> segment_;
  std::vector<int> members_;
  std::vector<Control*> controls_;
  std::vector<std::shared_ptr<ShmOperation>> ring_;  // operations in flight: sequence modulo its size, a power of two
  std::uint64_t started_ = 0;  // collectives started, published, shared and completed here, in order
  std::uint64_t published_ = 0;
  std::uint64_t shared_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t finished_by_all_ = 0;  // at least so many are finished on every rank
  std::uint64_t rounds_ = 0;           // of all staged operations before the present one
  std::vector<std::shared_ptr<ShmMessage>> messages_;
  std::uint64_t message_order_ = 0;
  std::atomic<std::uint64_t> given_up_from_{0};  // completed_, for abort() on any thread
  std::optional<Failure> failure_;
  Places places_;
  unsigned idle_polls_ = 0;
  TimePoint last_completion_{};
  std::uint64_t bytes_moved_ = 0;
};

}  // namespace trireme::comm::shm
