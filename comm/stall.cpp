#include "trireme/comm/stall.h"

#include <algorithm>

#include "trireme/comm/divergence.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm {
namespace {

constexpr std::size_t kMostNamed = 4;  // ranks described one by one

const RankReport* report_of(const std::vector<RankReport>& reports, int rank) {
  const auto found =
      std::find_if(reports.begin(), reports.end(), [&](const RankReport& report) { return report.rank == rank; });
  return found == reports.end() ? nullptr : &*found;
}

std::string describe_missing(const RankReport& report) {
  const bool unknown = report.presence == Presence::silent || !report.knows_records;
  return unknown ? describe(report) : fmt::format("{}; {}", describe(report), last_operation(report));
}

std::optional<Divergence> compare(const std::vector<RankReport>& reports) {
  std::vector<RankHistory> histories;
  for (const RankReport& report : reports) {
    if (report.presence != Presence::silent && report.knows_records) {
      histories.push_back({report.rank, report.records});
    }
  }
  return histories.size() < 2 ? std::nullopt : first_divergence(histories);
}

}  // namespace

std::string waiting_for(const std::vector<int>& missing, const std::vector<RankReport>& reports,
                        std::uint64_t sequence) {
  const std::optional<Divergence> divergence = compare(reports);
  const std::vector<int>& ranks = missing.empty() && divergence ? divergence->ranks : missing;
  if (ranks.empty()) {
    return "all ranks have arrived, and the operation goes on slowly or not at all";
  }
  std::string text;
  for (std::size_t i = 0; i < ranks.size() && i < kMostNamed; ++i) {
    const RankReport* report = report_of(reports, ranks[i]);
    text += (i == 0 ? "waiting for " : ", and for ") +
            (report == nullptr ? fmt::format("rank {}", ranks[i]) : describe_missing(*report));
  }
  if (ranks.size() > kMostNamed) {
    text += fmt::format(", and {} more: {}", ranks.size() - kMostNamed,
                        describe_ranks({ranks.begin() + kMostNamed, ranks.end()}));
  }
  if (divergence && divergence->sequence < sequence) {
    text += "; the ranks differ first in " + divergence->text;
  }
  return text;
}

std::vector<int> not_waiting(const std::vector<RankReport>& reports) {
  std::vector<int> ranks;
  for (const RankReport& report : reports) {
    const bool waits =
        report.presence == Presence::alive && report.activity && report.activity->phase == Phase::waiting;
    if (!waits) {
      ranks.push_back(report.rank);
    }
  }
  return ranks;
}

int speaker(const std::vector<int>& missing, int size) {
  for (int rank = 0; rank < size; ++rank) {
    if (std::find(missing.begin(), missing.end(), rank) == missing.end()) {
      return rank;
    }
  }
  return -1;
}

}  // namespace trireme::comm
