// The process that cleans up when the launcher itself is killed.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>

#include "trireme/launcher/fd.h"

namespace trireme::launcher {

// Workers die with the launcher (parent-death signal), but their own children do not. So a small sibling process holds
// the other end of a pipe; when the pipe ends without a farewell, the launcher is dead, and the keeper kills the
// process groups of all workers and whatever else carries the attempt's token. It lives in its own session, ignores
// signals, and holds no other descriptor. If the keeper is killed, the launcher starts another.
class Keeper {
 public:
  Keeper() = default;
  ~Keeper();  // ends the process: its duty is over
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Starts the process (again), telling it what is known. Raises Error.
  void start();
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable when the keeper has died

  void set_token(const std::string& token);
  void add_group(pid_t group);
  void remove_group(pid_t group);

 private:
  void tell(const std::string& line);
  void end();

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd pipe_;
  std::set<pid_t> groups_;
  std::string token_;
};

}  // namespace trireme::launcher
