// A rehearsed failure: `trireme run --inject KIND:TARGET,step=S`. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme::cluster {

struct Fault {
  enum class Kind { kill, segv, stop, exit, cut, disk_full };
  static constexpr int kCoordinator = -1;

  Kind kind = Kind::kill;
  int rank = kCoordinator;  // whom it strikes
  std::int64_t step = 0;    // at this step's start
  int exit_code = 1;        // kind exit only
};

// "kill:rank=1,step=3", "exit:rank=0,step=2,code=7", "kill:coordinator,step=5". Raises Error (usage) naming the part
// that is wrong and what is valid.
Fault parse_fault(std::string_view text);
// The inverse of parse_fault.
std::string to_string(const Fault& fault);
// Raises Error (usage) where the fault cannot happen in a job of `world_size` ranks, or is not built yet.
void check_fault(const Fault& fault, int world_size);
// What the launcher does to the process: a signal; 0 for kinds exit and disk_full, which the worker carries out itself.
int signal_of(const Fault& fault);

}  // namespace trireme::cluster
