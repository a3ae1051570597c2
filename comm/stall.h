// What to say about a collective that does not go on (stall_clock.h: when). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/comm/rank_report.h"

namespace trireme::comm {

// "waiting for rank 3 on node-b (pid 812), which is in data loading since 4.1 s (step 12); its last operation is
// all_reduce #455 "bucket 3" f32 x 1024 (completed)". `missing`: the ranks without which the operation cannot go on;
// none: those in which the histories differ first. `reports`: what is known of the ranks, in any order, none left out
// that is known. Names the first difference of the histories if it lies before `sequence`.
std::string waiting_for(const std::vector<int>& missing, const std::vector<RankReport>& reports,
                        std::uint64_t sequence);

// The ranks that do not wait for others: of a chain of waiting ranks, its end.
std::vector<int> not_waiting(const std::vector<RankReport>& reports);

// Of the ranks that wait, the one that warns for all: the lowest that is not missing. -1: all are missing.
int speaker(const std::vector<int>& missing, int size);

}  // namespace trireme::comm
