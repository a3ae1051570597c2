// What follows from the facts about a machine: one small pure function for each subject.
#pragma once

#include <string>
#include <vector>

#include "trireme/launcher/machine_facts.h"

namespace trireme::launcher {

struct Advice {
  bool blocking = false;  // training cannot work
  std::string text;       // what is wrong and what to do
};
using Advices = std::vector<Advice>;

Advices check_processor(const MachineFacts& facts);
Advices check_memory(const MachineFacts& facts);
Advices check_shared_memory(const MachineFacts& facts);
Advices check_limits(const MachineFacts& facts);
Advices check_network(const MachineFacts& facts);
Advices check_mpi(const MpiFacts& mpi);
Advices check_gpu(const GpuFacts& gpu);
Advices check_disk(const DiskFacts& disk);

// All of them.
Advices advise(const MachineFacts& facts);

}  // namespace trireme::launcher
