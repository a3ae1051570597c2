#include "trireme/launcher/fault_plan.h"

#include <algorithm>

namespace trireme::launcher {

FaultPlan::FaultPlan(const std::vector<cluster::Fault>& faults) : waiting_(faults) {}

std::string FaultPlan::of_rank(int rank) const {
  std::string text;
  for (const cluster::Fault& fault : waiting_) {
    if (fault.rank == rank) {
      text.append(text.empty() ? "" : ";").append(cluster::to_string(fault));
    }
  }
  return text;
}

std::optional<cluster::Fault> FaultPlan::take(int rank, std::int64_t step) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const cluster::Fault& fault) {
    return fault.rank == rank && fault.step == step;
  });
  if (found == waiting_.end()) {
    return std::nullopt;
  }
  const cluster::Fault fault = *found;
  waiting_.erase(found);
  return fault;
}

std::vector<std::string> FaultPlan::left() const {
  std::vector<std::string> texts;
  std::transform(waiting_.begin(), waiting_.end(), std::back_inserter(texts), cluster::to_string);
  return texts;
}

}  // namespace trireme::launcher
