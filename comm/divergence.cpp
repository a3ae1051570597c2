#include "trireme/comm/divergence.h"

#include <algorithm>

#include "trireme/comm/operation_text.h"

namespace trireme::comm {
namespace {

// The collective `sequence` in each history; null where it is not held.
std::vector<const OpRecord*> collective(const std::vector<RankHistory>& histories, std::uint64_t sequence) {
  std::vector<const OpRecord*> out;
  for (const RankHistory& history : histories) {
    const auto found = std::find_if(history.records.begin(), history.records.end(), [&](const OpRecord& record) {
      return !is_message(record.kind) && record.sequence == sequence;
    });
    out.push_back(found == history.records.end() ? nullptr : &*found);
  }
  return out;
}

const OpRecord* last_collective(const RankHistory& history) {
  const auto found = std::find_if(history.records.rbegin(), history.records.rend(),
                                  [](const OpRecord& record) { return !is_message(record.kind); });
  return found == history.records.rend() ? nullptr : &*found;
}

bool same(const OpRecord& a, const OpRecord& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.count == b.count && a.name.view() == b.name.view();
}

// Sequences that every rank can still know: a ring that has wrapped says nothing about what it has forgotten.
std::pair<std::uint64_t, std::uint64_t> common_range(const std::vector<RankHistory>& histories) {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  for (const RankHistory& history : histories) {
    const auto begin = std::find_if(history.records.begin(), history.records.end(),
                                    [](const OpRecord& record) { return !is_message(record.kind); });
    if (begin != history.records.end()) {
      first = std::max(first, begin->sequence);
      end = std::max(end, last_collective(history)->sequence + 1);
    }
  }
  return {first, end};
}

std::string where(const RankHistory& history) {
  const OpRecord* last = last_collective(history);
  return last == nullptr ? fmt::format("rank {} has started nothing", history.rank)
                         : fmt::format("rank {} has not started it; its last is {} ({})", history.rank, title_of(*last),
                                       name_of(last->state));
}

// Ranks that brought something else than most did.
std::optional<Divergence> different(const std::vector<RankHistory>& histories,
                                    const std::vector<const OpRecord*>& ops) {
  const OpRecord* usual = nullptr;
  std::ptrdiff_t most = 0;
  for (const OpRecord* candidate : ops) {
    const auto votes = candidate == nullptr ? 0 : std::count_if(ops.begin(), ops.end(), [&](const OpRecord* other) {
      return other != nullptr && same(*candidate, *other);
    });
    if (votes > most) {
      most = votes;
      usual = candidate;
    }
  }
  Divergence out{.sequence = usual->sequence, .ranks = {}, .text = title_of(*usual)};
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i] == nullptr) {
      out.ranks.push_back(histories[i].rank);
      out.text += (out.ranks.size() == 1 ? ": " : "; ") + where(histories[i]);
    } else if (!same(*ops[i], *usual)) {
      out.ranks.push_back(histories[i].rank);
      out.text += fmt::format("{}rank {} has {} there", out.ranks.size() == 1 ? ": " : "; ", histories[i].rank,
                              title_of(*ops[i]));
    }
  }
  return out.ranks.empty() ? std::nullopt : std::optional(out);
}

std::optional<Divergence> unfinished(const std::vector<RankHistory>& histories,
                                     const std::vector<const OpRecord*>& ops) {
  Divergence out{.sequence = ops[0]->sequence, .ranks = {}, .text = {}};
  bool some_completed = false;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    some_completed |= ops[i]->state == OpState::completed;
    if (ops[i]->state != OpState::completed) {
      out.ranks.push_back(histories[i].rank);
    }
  }
  if (out.ranks.empty() || !some_completed) {
    return std::nullopt;
  }
  out.text = fmt::format("{}: {} started it and did not complete it", title_of(*ops[0]), describe_ranks(out.ranks));
  return out;
}

}  // namespace

std::optional<Divergence> first_divergence(const std::vector<RankHistory>& histories) {
  const auto [first, end] = common_range(histories);
  for (std::uint64_t sequence = first; sequence < end; ++sequence) {
    const std::vector<const OpRecord*> ops = collective(histories, sequence);
    if (auto found = different(histories, ops)) {
      return found;
    }
    if (auto found = unfinished(histories, ops)) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace trireme::comm
