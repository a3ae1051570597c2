// What the segments show of each rank when a collective stalls: its process, what it is doing, its last collectives.
#include <algorithm>

#include "trireme/comm/rank_report.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/core/base/host.h"

namespace trireme::comm::shm {
namespace {

// The collectives in a rank's slots, oldest first. Its owner may be writing just now, so the bytes may be anything;
// nothing but text depends on them.
std::vector<OpRecord> records_in(const Control& control) {
  const std::uint64_t finished = control.finished.load();
  std::vector<OpRecord> records;
  for (const Slot& slot : control.slots) {
    const std::uint64_t published = slot.published.load();
    if (published == 0) {
      continue;
    }
    const Signature signature = slot.signature;
    const OpName name = slot.name;
    if (slot.published.load() == published && signature.dtype <= DType::boolean) {
      records.push_back({.ticket = published - 1,
                         .sequence = published - 1,
                         .kind = signature.kind,
                         .dtype = signature.dtype,
                         .state = published <= finished ? OpState::completed : OpState::started,
                         .peer = signature.peer,
                         .count = signature.count,
                         .name = name});
    }
  }
  std::ranges::sort(records, {}, &OpRecord::sequence);
  return records;
}

}  // namespace

RankReport ShmCommunicator::look_at(int rank) const {
  const int member = members_[static_cast<std::size_t>(rank)];
  const int pid = fabric_->pid(member);
  RankReport report{.rank = rank,
                    .host = host_name(),
                    .pid = pid,
                    .presence = fabric_->is_dead(member) ? Presence::dead : presence_of_process(pid),
                    .activity = fabric_->activity(member).look(std::chrono::steady_clock::now()),
                    .records = records_in(control(rank))};
  if (report.presence != Presence::dead && control(rank).condition.load() == Condition::left) {
    report.presence = Presence::left;
  }
  return report;
}

std::vector<RankReport> ShmCommunicator::look_at_ranks() {
  std::vector<RankReport> reports;
  for (int rank = 0; rank < size(); ++rank) {
    reports.push_back(look_at(rank));
  }
  return reports;
}

}  // namespace trireme::comm::shm
