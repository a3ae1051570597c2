// How much memory this process may use: what the machine has, or what a cgroup (version 1 or 2) leaves it, as
// containers and batch systems set it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme {

struct MemoryLimit {
  std::int64_t bytes = 0;   // 0: unknown
  std::string cgroup = {};  // the folder of the cgroup that sets it; empty: the machine's own memory
};

// The smallest of all limits that hold for this process, those of enclosing cgroups included. Never raises.
MemoryLimit memory_limit();

// Where a process's memory cgroup lies, from the text of its /proc/PID/cgroup: its path below the mount of version 2
// ("0::/x" -> "/sys/fs/cgroup/x") or of version 1 ("4:memory:/x" -> "/sys/fs/cgroup/memory/x"). Empty: none.
std::string memory_cgroup_folder(std::string_view proc_pid_cgroup);
// The smallest limit that `folder` or one of the folders above it sets, down from `mount`; bytes 0: none does.
MemoryLimit cgroup_limit(const std::string& folder, const std::string& mount = "/sys/fs/cgroup");

}  // namespace trireme
