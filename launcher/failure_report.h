// What the terminal says about a failure: a few lines that name the rank, the signal and the cause. Pure.
#pragma once

#include <string>

#include "trireme/launcher/outcome.h"

namespace trireme::launcher {

struct ReportContext {
  std::string host;
  int restarts = 0;  // so far
  int max_restarts = 0;
};

// Several lines, each ended. The first says what happened and what the launcher does about it.
std::string failure_report(const AttemptOutcome& outcome, Verdict verdict, const ReportContext& context);

// "0 to 3, 7" from {0, 1, 2, 3, 7}: a list that stays short with many ranks.
std::string rank_list(const std::vector<int>& ranks);

}  // namespace trireme::launcher
