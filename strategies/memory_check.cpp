#include "trireme/strategies/memory_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "trireme/core/base/bytes_text.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/memory_limit.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme::strategies {
namespace {

std::int64_t hash_of(const std::string& text) {
  return static_cast<std::int64_t>(xxh3(std::as_bytes(std::span(text))));
}

MemoryNeed need_of_this_rank(std::int64_t bytes) {
  const MemoryLimit limit = memory_limit();
  const std::string host = host_name();
  return {hash_of(host), physical_memory(), hash_of(host + ":" + limit.cgroup), limit.cgroup.empty() ? 0 : limit.bytes,
          bytes};
}

std::vector<MemoryNeed> needs_of_all(comm::Communicator& communicator, const MemoryNeed& mine) {
  constexpr std::int64_t kFields = 5;
  const Array row = Array::from(
      std::vector<std::int64_t>{mine.host, mine.host_bytes, mine.cgroup, mine.cgroup_bytes, mine.bytes}, {kFields});
  const Array all = Array::empty({communicator.size(), kFields}, DType::i64);
  communicator.all_gather(row, all, {.name = "memory that each rank needs"}).wait();
  std::vector<MemoryNeed> needs;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const std::int64_t* field = all.data<std::int64_t>() + rank * kFields;
    needs.push_back({field[0], field[1], field[2], field[3], field[4]});
  }
  return needs;
}

// Ranks that share something, and what they need of it together.
struct Sharers {
  std::vector<int> ranks;
  std::int64_t limit = 0;
  std::int64_t bytes = 0;
};

std::string text_of(const Sharers& sharers, std::string_view owner) {
  const auto [first, last] = std::minmax_element(sharers.ranks.begin(), sharers.ranks.end());
  const std::string ranks = sharers.ranks.size() == 1
                                ? fmt::format("rank {} needs {}", *first, bytes_text(sharers.bytes))
                                : fmt::format("{} ranks ({} to {}) need {} together", sharers.ranks.size(), *first,
                                              *last, bytes_text(sharers.bytes));
  return fmt::format("{}, and {} {}", ranks, owner, bytes_text(sharers.limit));
}

std::string first_too_much(const std::vector<MemoryNeed>& needs, std::int64_t MemoryNeed::*owner,
                           std::int64_t MemoryNeed::*limit, std::string_view text) {
  std::map<std::int64_t, Sharers> sharers;
  for (std::size_t rank = 0; rank < needs.size(); ++rank) {
    Sharers& group = sharers[needs[rank].*owner];
    group.ranks.push_back(static_cast<int>(rank));
    group.limit = std::max(group.limit, needs[rank].*limit);
    group.bytes += needs[rank].bytes;
  }
  for (const auto& [id, group] : sharers) {
    if (group.limit > 0 && group.bytes > group.limit) {
      return text_of(group, text);
    }
  }
  return {};
}

}  // namespace

std::string why_too_much(const std::vector<MemoryNeed>& needs) {
  const std::string cgroup = first_too_much(needs, &MemoryNeed::cgroup, &MemoryNeed::cgroup_bytes,
                                            "the memory limit of their cgroup (a container or batch job) is");
  return cgroup.empty() ? first_too_much(needs, &MemoryNeed::host, &MemoryNeed::host_bytes, "their machine has")
                        : cgroup;
}

void require_memory(comm::Communicator& communicator, std::string_view who, const sharding::MemoryPlan& plan) {
  const std::string why = why_too_much(needs_of_all(communicator, need_of_this_rank(plan.peak())));
  if (why.empty()) {
    return;
  }
  std::string kinds;
  for (std::size_t kind = 0; kind < sharding::kMemoryKinds; ++kind) {
    const auto which = static_cast<sharding::MemoryKind>(kind);
    if (const std::int64_t bytes = plan.at(which, plan.peak_phase()); bytes > 0) {
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", name_of(which), bytes_text(bytes));
    }
  }
  const bool much_is_activations = 2 * plan.most_of(sharding::MemoryKind::activations) > plan.persistent();
  fail("{}: the job does not fit: {} (of each rank: {}); {}; `trireme plan -- PROGRAM ARGS` compares the ways", who,
       why, kinds,
       much_is_activations
           ? "use a smaller --global-batch, more --accumulate, or --activation-checkpointing"
           : "shard it over more ranks or hosts with --strategy fully_sharded, or train a smaller model");
}

}  // namespace trireme::strategies
