// SIGUSR2 asks a running program what it does: every rank of the process answers on stderr with its host, its phase and
// its last operations, and goes on. For programs: a library must not take a signal away from its user.
#pragma once

#include <signal.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "trireme/comm/communicator.h"

namespace trireme::training {

// "rank 1 of 4 on node-b (pid 812), backend shm: in backward since 0.1 s (step 12)", and a line for each of the last
// operations, oldest first.
std::string status_text(const comm::Communicator& communicator);

// While one lives, SIGUSR2 is answered, by a thread of its own: the handler only wakes it. One at a time in a process;
// the handler from before comes back with the destructor.
class StatusSignal {
 public:
  using Print = std::function<void(const std::string&)>;

  // `print` is called on the answering thread, once for each signal; nothing given: stderr.
  explicit StatusSignal(Print print = {});
  ~StatusSignal();
  StatusSignal(const StatusSignal&) = delete;
  StatusSignal& operator=(const StatusSignal&) = delete;

  // A rank whose status is told while the result lives. Any thread.
  class Listed {
   public:
    Listed(StatusSignal& owner, int rank) : owner_(owner), rank_(rank) {}
    ~Listed();
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

   private:
    StatusSignal& owner_;
    int rank_;
  };
  [[nodiscard]] std::unique_ptr<Listed> list(std::shared_ptr<const comm::Communicator> communicator);

 private:
  void answer();
  std::string text();

  Print print_;
  int wake_[2] = {-1, -1};  // a pipe: the handler writes to its end
  struct sigaction before_ {};
  std::mutex mutex_;
  std::map<int, std::shared_ptr<const comm::Communicator>> ranks_;
  std::thread thread_;
};

}  // namespace trireme::training
