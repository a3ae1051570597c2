// All collectives and messages over a Link: what every backend that moves bytes between processes by an engine has in
// common.
//
// Collectives run one after the other, on the thread that waits for the next one, or else on a communication thread, so
// that they go on while the caller computes. Each begins with an opening to every peer (opening.h): small ones are done
// with it. A peer that ends, leaves or aborts is noticed by all ranks within half a second, whatever their threads do,
// while an operation is in progress. After a failure the arrays of unfinished operations may still be written to until
// the communicator is destroyed.
//
// Destruction tells the peers that this rank has left and waits until they have what was sent to them, at most
// kFarewell. An operation that a rank still waits for fails there, naming the one that left.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/comm/message/large.h"
#include "trireme/comm/message/letter.h"
#include "trireme/comm/message/opening.h"
#include "trireme/comm/rank_report.h"

namespace trireme::comm::message {

inline constexpr auto kFarewell = std::chrono::milliseconds(1000);
inline constexpr auto kShortFarewell = std::chrono::milliseconds(200);  // with ranks that are to blame for a failure
inline constexpr auto kPatience = std::chrono::milliseconds(500);       // with ranks that do not say what they do

class Collective;
class Post;

class MessageCommunicator final : public Communicator, private LetterReader {
 public:
  // Called on all ranks of the link. `timeout` becomes the default of operations.
  MessageCommunicator(std::unique_ptr<Link> link, std::chrono::milliseconds timeout);
  ~MessageCommunicator() override;

  std::string_view backend() const override { return link_->backend(); }
  std::shared_ptr<Communicator> split(int colour, int key) override;
  void abort(std::string_view reason) override;
  Array allocate(const Shape& shape, DType dtype) override { return Array::empty(shape, dtype); }
  Array allocate_shared(const Shape& shape, DType dtype) override {
    return size() == 1 ? Array::zeros(shape, dtype) : Array();
  }
  std::uint64_t bytes_moved() const override { return bytes_moved_; }
  // Asks all peers, whose links answer whatever their own threads do; kPatience for those that do not.
  std::vector<RankReport> look_at_ranks() override;

 protected:
  std::shared_ptr<WorkState> start(Operation&& operation) override;

 private:
  friend class Collective;
  friend class Post;
  using TimePoint = std::chrono::steady_clock::time_point;
  using Lock = std::unique_lock<std::mutex>;
  struct Failure {
    std::string cause;
    std::vector<int> ranks;
  };
  // What is known of a peer.
  struct Peer {
    std::optional<std::uint64_t> left;  // the collectives that it had completed
    bool has_all = false;               // that this rank sent before it left
    std::optional<std::string> lost;    // why
    std::string host;                   // as it introduced itself
    int pid = -1;
  };
  struct Question {
    std::int64_t number;
    std::vector<std::optional<RankReport>> answers;  // [peer]
  };
  // A message that was announced and that nobody has asked for yet.
  struct Arrived {
    int peer;
    LetterHead head;
    OpName name;
    std::vector<std::byte> body;
  };

  // Collectives (progress.cpp). `lock` holds mutex_; it is let go of while an operation runs.
  std::shared_ptr<WorkState> start_collective(Operation&& operation, Lock& lock);
  void open_next();
  void open(Collective& state);
  void drive(Lock& lock, std::uint64_t until);
  bool execute(Collective& state);
  void check_signatures(const Collective& state);
  void run(Collective& state);
  void finish(Collective& state);
  void complete(Collective& state);
  void look();
  void settle();
  Collective& in_flight(std::uint64_t sequence) const { return *ring_[sequence % ring_.size()]; }
  void wait(Collective& state);
  bool poll(Collective& state);

  // The communication thread (worker.cpp).
  void want_worker();
  void wake_worker();
  void expect_waits(std::chrono::nanoseconds after_start);
  void work();
  void keep_an_eye(Lock& lock);

  // Messages (messages.cpp).
  std::shared_ptr<WorkState> start_message(Operation&& operation);
  void send(const std::shared_ptr<Post>& post);
  void receive(const std::shared_ptr<Post>& post);
  void on_message(int peer, const LetterView& letter);
  void on_received(int peer, std::int64_t number);
  void accept(const std::shared_ptr<Post>& post, int peer, const LetterView& letter);
  void finish(Post& post);
  void hand_over(const std::shared_ptr<Post>& post);
  void fetch();
  std::optional<LinkError> wait_for_transfers(Post& post);
  void settle_posts();
  bool is_awaited(const Post& post, int peer) const;
  void speak_of(Post& post, Lock& lock);
  void wait(Post& post);
  bool poll(Post& post);

  // Failures (failing.cpp).
  void on_letter(int peer, std::span<const std::byte> bytes) override;
  void on_lost(int peer, const std::string& why) override;
  void on_left(int peer, std::uint64_t completed);
  void lose(int peer, const std::string& why);
  void fail(std::string cause, std::vector<int> ranks, bool tell);
  void fail_after(std::uint64_t completed, Failure failure, bool tell);
  Letter abort_letter(std::uint64_t completed) const;
  void fail_overdue(const Operation& operation, const std::vector<int>& missing, const std::string& why);
  [[noreturn]] void raise(const Operation& operation) const;
  void post(int peer, const Letter& letter);
  void leave(Lock& lock);

  // Reports (reports.cpp).
  void introduce();
  void answer(int peer, const LetterView& query);
  void on_answer(int peer, const LetterView& letter);
  bool has_answers(const Question& question) const;
  RankReport report_without_answer(int peer) const;

  const std::unique_ptr<Link> link_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // something is complete, or has failed
  std::condition_variable wanted_;   // the communication threads have something to do
  std::vector<Peer> peers_;
  std::optional<Failure> failure_;
  struct Deferred {
    std::uint64_t completed;  // what a peer has completed before it failed can be completed here too
    Failure failure;
    bool tell;
  };
  std::optional<Deferred> deferred_;
  bool closing_ = false;

  std::vector<std::shared_ptr<Collective>> ring_;  // in flight: sequence modulo its size, a power of two
  std::uint64_t started_ = 0;  // collectives started, opened and completed here, in order; and entered in the recorder
  std::uint64_t opened_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t settled_ = 0;
  bool driving_ = false;        // a thread runs the oldest collective
  bool worker_wanted_ = false;  // it need not be one that waits for it
  int prompt_waits_ = 0;        // large ones, one after the other, that the caller has waited for at once
  bool overdue_ = false;        // somebody's deadline has passed
  bool met_ = false;            // the openings of the oldest collective have arrived; of the thread that drives
  Openings openings_;
  Transfers transfers_;
  Workspace workspace_;
  std::vector<const std::byte*> payloads_;
  std::thread worker_;

  std::vector<std::shared_ptr<Post>> posts_;  // sends and receives that are not done, in the order of their start
  std::vector<Arrived> arrived_;
  std::vector<std::shared_ptr<Post>> fetches_;  // receives whose bytes are on their way, in order
  std::thread fetcher_;

  std::vector<Question*> questions_;
  std::int64_t question_numbers_ = 0;
  std::uint64_t splits_ = 0;
  std::uint64_t bytes_moved_ = 0;
};

}  // namespace trireme::comm::message
