// Work: a started collective. Holds its arrays alive, has a deadline, and ends in a result or a CommError.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme::comm {

// A collective that cannot complete: a peer died, did not arrive in time, or disagreed about the operation.
class CommError : public Error {
 public:
  struct Details {
    std::string operation;       // "all_reduce"
    std::uint64_t sequence = 0;  // the communicator's count of operations
    std::string name;            // given by the caller: "bucket 4 (blocks.5.attn.qkv.weight ...)"
    std::vector<int> ranks;      // missing, dead or disagreeing
    std::string cause;           // "rank 3 (pid 812) is dead", "deadline of 60 s passed"
  };
  CommError(const std::string& message, Details details) : Error(message), details_(std::move(details)) {}
  const Details& details() const { return details_; }

 private:
  Details details_;
};

// What a backend keeps for one operation.
class WorkState {
 public:
  virtual ~WorkState() = default;
  // Moves the operation on without blocking; true once it is complete. Raises CommError when it has failed.
  virtual bool poll() = 0;
  // Blocks until complete. Raises CommError when it fails or its deadline passes.
  virtual void wait() = 0;
};

// A handle to a started operation; copying shares it. The arrays given to the operation must not be written, nor its
// results read, before wait() returned or done() said true. Dropping the last handle of an unfinished operation waits
// for nothing: the operation still completes when the communicator makes progress.
class Work {
 public:
  Work() = default;
  explicit Work(std::shared_ptr<WorkState> state) : state_(std::move(state)) {}

  bool done() const { return !state_ || state_->poll(); }
  void wait() const {
    if (state_) {
      state_->wait();
    }
  }

 private:
  std::shared_ptr<WorkState> state_;
};

}  // namespace trireme::comm
