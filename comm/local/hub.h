// Where the ranks of a local communicator meet: a mutex, a condition variable, and the operations of all ranks.
// The last rank to start an operation carries it out for all. Used by any number of threads.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

class LocalHub {
 public:
  // One operation of all ranks; or a message, whose first "rank" is the sender and second the receiver.
  struct Meeting {
    explicit Meeting(std::size_t size) : operations(size) {}
    std::vector<std::optional<Operation>> operations;
    std::size_t arrived = 0;
    bool done = false;
  };
  // Why the communicator is broken, and who is to blame.
  struct Failure {
    std::string cause;
    std::vector<int> ranks;
    std::uint64_t from = 0;  // the collectives before it have what they need of all ranks, and can be completed
  };

  using TimePoint = std::chrono::steady_clock::time_point;

  explicit LocalHub(int size)
      : size_(size),
        left_(static_cast<std::size_t>(size)),
        ranks_(static_cast<std::size_t>(size)),
        next_(static_cast<std::size_t>(size)) {}

  int size() const { return size_; }
  // Between the two the rank's communicator can be asked for its report.
  void join(const Communicator& rank);
  void leave(int rank);
  std::shared_ptr<Meeting> start(Operation operation, int rank);
  // True once the meeting is over. Raises CommError if it cannot take place. `operation` is for the message.
  bool poll(const Meeting& meeting, const Operation& operation, int rank);
  // The same, but blocks until then, or until the time is over: false.
  bool wait(const Meeting& meeting, const Operation& operation, int rank, TimePoint until);
  // The ranks that the meeting waits for.
  std::vector<int> missing(const Meeting& meeting, const Operation& operation);
  // Ends the communicator for this cause, unless the meeting is over by now.
  void give_up(const Meeting& meeting, const Operation& operation, std::string cause, std::vector<int> ranks);
  void abort(const std::string& reason, int rank);
  std::vector<RankReport> reports();
  // The hub of the ranks that gave this colour in their `index`-th split; `size` of them will ask.
  std::shared_ptr<LocalHub> child(std::uint64_t index, int colour, int size);

 private:
  std::shared_ptr<Meeting> start_collective(Operation operation, int rank);
  std::shared_ptr<Meeting> start_message(Operation operation, int rank);
  void carry_out(Meeting& meeting, std::uint64_t sequence);
  void carry_out_message(Meeting& meeting);
  // Sets failure_ if a rank that this meeting waits for has left.
  void check_left(const Meeting& meeting, const Operation& operation);
  bool finished(const Meeting& meeting, const Operation& operation, int rank);
  bool is_broken_for(const Operation& operation) const;
  void fail(std::string cause, std::vector<int> ranks, std::uint64_t from);
  std::vector<int> absent(const Meeting& meeting, const Operation& operation) const;

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> left_;
  std::vector<const Communicator*> ranks_;  // null: not there yet, or not any more
  std::vector<std::uint64_t> next_;         // [rank]: the collective that it has not started yet
  std::optional<Failure> failure_;
  std::map<std::uint64_t, std::shared_ptr<Meeting>> collectives_;                // by sequence, until all have arrived
  std::multimap<std::tuple<int, int, int>, std::shared_ptr<Meeting>> messages_;  // (source, destination, tag), in order
  struct Child {
    std::shared_ptr<LocalHub> hub;
    int taken = 0;
  };
  std::map<std::pair<std::uint64_t, int>, Child> children_;
};

}  // namespace trireme::comm
