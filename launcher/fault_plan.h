// The failures to rehearse in a job: each strikes once, whatever is restarted afterwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trireme/cluster/fault.h"

namespace trireme::launcher {

class FaultPlan {
 public:
  explicit FaultPlan(const std::vector<cluster::Fault>& faults);

  // What stands in TRIREME_INJECT of this rank: its failures that are still to come; empty: none.
  std::string of_rank(int rank) const;
  // The failure that strikes as this rank begins this step; it is used up by the call.
  std::optional<cluster::Fault> take(int rank, std::int64_t step);
  // Those that never struck, because no such step was reported.
  std::vector<std::string> left() const;

 private:
  std::vector<cluster::Fault> waiting_;
};

}  // namespace trireme::launcher
