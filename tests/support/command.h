// Starts a program, waits for it with a deadline, and keeps what it printed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {

struct CommandResult {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  bool timed_out = false;  // it was killed at the deadline
  std::string out;
  std::string err;
  std::chrono::duration<double> seconds{0};  // from the start to the end
};

// A program in a process group of its own; the group is killed when the object goes.
class RunningCommand {
 public:
  // argv[0] is a path or a name in PATH. `environment` is added to the test's own; stdin is /dev/null.
  explicit RunningCommand(const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment = {});
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // What it has printed so far.
  std::string out() const;
  std::string err() const;
  // Waits for the end; kills the group at the deadline.
  CommandResult wait(std::chrono::seconds deadline = std::chrono::seconds(20) * kPatience);

 private:
  TempDir folder_;
  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point start_;
};

CommandResult run_command(const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment = {},
                          std::chrono::seconds deadline = std::chrono::seconds(20) * kPatience);

// Looks again every millisecond; true as soon as `condition` holds, false at the deadline.
bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline);
// False also for a process that has ended and only waits for its parent to notice.
bool process_runs(pid_t pid);

}  // namespace trireme::test
