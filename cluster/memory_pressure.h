// Did the kernel kill a process for want of memory? Reads what an ordinary user may read: the cgroup's event counters
// (version 2: memory.events, version 1: memory.oom_control), /proc/vmstat, and /dev/kmsg where it is readable.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "trireme/cluster/process_end.h"

namespace trireme::cluster {

// Counts from its construction on. Not thread-safe; copies nothing, owns one descriptor.
class MemoryPressureWatch {
 public:
  MemoryPressureWatch();
  ~MemoryPressureWatch();
  MemoryPressureWatch(const MemoryPressureWatch&) = delete;
  MemoryPressureWatch& operator=(const MemoryPressureWatch&) = delete;

  // What is known now about `pid`, which has just ended. Never blocks, never raises.
  OutOfMemoryEvidence evidence(pid_t pid);

 private:
  int kernel_log_ = -1;  // at the end of the log as it was at the start
  std::string cgroup_file_;
  std::optional<std::int64_t> cgroup_before_;
  std::optional<std::int64_t> machine_before_;
  std::string kills_;  // the kernel log's lines about killed processes, so far
};

// The number after `key` at the start of a line: ("low 0\noom_kill 3\n", "oom_kill") -> 3.
std::optional<std::int64_t> counter_in(std::string_view text, std::string_view key);
// Does a line of the kernel log say that `pid` was killed for want of memory?
bool names_killed_process(std::string_view kernel_log_line, pid_t pid);

}  // namespace trireme::cluster
