// Do the ranks of a job fit together? Builds, instruction sets, clocks, cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/launcher/advice.h"

namespace trireme::launcher {

struct RankFacts {
  int rank = 0;
  std::string host;
  std::string build;            // version and a digest of the program file
  std::string instruction_set;  // that the kernels use
  int cores_usable = 0;
  double clock_ahead_seconds = 0;  // of rank 0's
  double clock_error_seconds = 0;  // how far that may be off: half of the fastest way there and back
  Advices own;                     // about its machine
};

// Collective: every rank gives its own facts and gets those of all; the clocks are measured by messages between rank 0
// and each other one.
std::vector<RankFacts> exchange_facts(comm::Communicator& ranks, const RankFacts& own);

// What does not fit. Pure.
Advices compare_ranks(const std::vector<RankFacts>& ranks);

// "0.1.0 1f2e3d4c": two programs that differ in a byte have different ones.
std::string build_of_this_program();

}  // namespace trireme::launcher
