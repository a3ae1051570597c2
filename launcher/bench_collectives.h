// `trireme bench all_reduce|reduce_scatter|all_gather|all_to_all|broadcast|barrier`: how fast ranks move arrays, and
// whether what arrives is right.
#pragma once

#include <string>
#include <vector>

#include "trireme/launcher/collective_run.h"

namespace trireme::launcher {

struct CollectiveOptions {
  std::string help;  // not empty: --help was given; show this and do nothing
  CollectivePlan plan;
  std::string backend = "auto";
  std::string interface;
  int ranks = 0;  // 0: those of the launcher, else one for each core, two at least
  double timeout_seconds = 60;
};

// `arguments` begin with the collective's name. Raises Error (usage).
CollectiveOptions parse_collective_options(const std::vector<std::string>& arguments);

// As one of the ranks that a launcher started, or alone: then it starts --ranks N itself, as threads (backend local) or
// as processes of this host. Returns 0, or 1 if a result was wrong. Raises Error.
int bench_collectives(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
