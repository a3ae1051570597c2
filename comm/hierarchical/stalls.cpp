// Stalls: noticed by part communicators, told in the words of the whole. A rank that a part waits for may itself wait
// for another one on another level; the ranks that do not wait are the ones to name.
#include <algorithm>

#include "trireme/comm/hierarchical/hierarchical_communicator.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/stall.h"
#include "trireme/core/base/log.h"

namespace trireme::comm::hierarchical {

void HierarchicalCommunicator::listen_to_stalls() {
  const auto listen = [this](const std::shared_ptr<Communicator>& part, Level level) {
    if (part != nullptr) {
      part->set_stall_listener([this, level](const Operation& operation, const std::vector<int>& missing) {
        on_stall(level, operation, missing);
      });
    }
  };
  listen(levels_.first, Level::inside);
  listen(levels_.last, Level::inside);
  listen(levels_.across, Level::across);
  listen(levels_.whole, Level::whole);
}

// Its records are those of another communicator.
std::vector<RankReport> HierarchicalCommunicator::look_at_ranks() {
  std::vector<RankReport> reports = levels_.whole->look_at_ranks();
  for (RankReport& report : reports) {
    report.rank = levels_.whole_ranks[static_cast<std::size_t>(report.rank)];
    report.records.clear();
    report.knows_records = false;
  }
  return reports;
}

// `missing`: in the whole's ranks. A message is a matter of two. This rank does not wait any more, and one that has
// left may have given up as well.
std::vector<int> HierarchicalCommunicator::late_ranks(const Operation& operation, const std::vector<int>& missing,
                                                      const std::vector<RankReport>& reports) const {
  if (is_message(operation.kind)) {
    return missing;
  }
  std::vector<int> late;
  std::vector<int> late_and_missing;
  for (const int one : not_waiting(reports)) {
    const auto report = std::ranges::find(reports, one, &RankReport::rank);
    if (one != rank() && report->presence != Presence::left) {
      late.push_back(one);
      if (std::ranges::find(missing, one) != missing.end()) {
        late_and_missing.push_back(one);
      }
    }
  }
  return !late_and_missing.empty() ? late_and_missing : !late.empty() ? late : missing;
}

// Called by threads of the parts, which may be about to end with this communicator: uses nothing but the levels and
// what outlives them.
void HierarchicalCommunicator::on_stall(Level level, const Operation& part_operation, const std::vector<int>& missing) {
  const std::string_view tag = part_operation.name.view();  // tag_of() the operation that it serves
  const auto waited = std::chrono::steady_clock::now() - part_operation.start;
  {
    const std::lock_guard lock(told_mutex_);
    if (!told_.due(std::hash<std::string_view>()(tag), waited, part_operation.timeout)) {
      return;
    }
  }
  const std::vector<RankReport> reports = look_at_ranks();
  std::vector<int> awaited;
  std::ranges::transform(missing, std::back_inserter(awaited),
                         [&](int rank) { return ranks_of(level)[static_cast<std::size_t>(rank)]; });
  const std::vector<int> late = late_ranks(part_operation, awaited, reports);
  if (!is_message(part_operation.kind) && speaker(late, size()) != rank()) {
    return;
  }
  log::warning("{} on rank {}: {} ({:.1f} s have passed)", tag.substr(0, tag.rfind(" ~")), rank(),
               waiting_for(late, reports, 0), std::chrono::duration<double>(waited).count());
}

}  // namespace trireme::comm::hierarchical
