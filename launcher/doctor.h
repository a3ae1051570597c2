// `trireme doctor`: what this machine and this build can do, and what to change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme::launcher {

// Prints its findings; returns 0, or 1 if training cannot work here. Raises Error (usage).
int run_doctor(const std::vector<std::string>& arguments);

struct MachineFacts {
  std::string processor;
  std::vector<std::string> instruction_sets;
  int cores_online = 0;
  int cores_usable = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t memory_available_bytes = 0;
  std::int64_t cgroup_limit_bytes = -1;  // -1: none
  std::int64_t shm_bytes = -1;           // -1: no /dev/shm
  std::int64_t shm_free_bytes = -1;
  std::int64_t locked_memory_limit = -1;  // -1: unlimited
  std::int64_t open_files_limit = -1;
  bool loopback_port = false;
};
MachineFacts look_at_machine();

struct Advice {
  bool blocking = false;  // training cannot work
  std::string text;       // what is wrong and what to do
};
// Pure.
std::vector<Advice> advise(const MachineFacts& facts);

// "1.5 GiB"; "none" for -1.
std::string bytes_text(std::int64_t bytes);

}  // namespace trireme::launcher
