#include "trireme/comm/flight_recorder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "trireme/comm/operation_text.h"

namespace trireme::comm {

std::string_view name_of(OpState state) {
  switch (state) {
    case OpState::started:
      return "started";
    case OpState::completed:
      return "completed";
    case OpState::failed:
      return "failed";
  }
  return "unknown state";
}

std::uint64_t FlightRecorder::started(const Operation& operation, TimePoint now) {
  const std::uint64_t ticket = next_++;
  OpRecord& record = ring_[ticket % kCapacity];
  record.ticket = ticket;
  record.sequence = operation.sequence;
  record.kind = operation.kind;
  record.dtype = dtype_of_operation(operation);
  record.state = OpState::started;
  record.peer = operation.peer;
  record.count = count_of(operation);
  record.name = operation.name;
  record.start = now;
  return ticket;
}

void FlightRecorder::end(std::uint64_t ticket, OpState state, TimePoint now) {
  OpRecord& record = ring_[ticket % kCapacity];
  if (record.ticket == ticket) {
    record.state = state;
    record.end = now;
  }
}

std::vector<OpRecord> FlightRecorder::records() const {
  const std::uint64_t held = std::min<std::uint64_t>(next_, kCapacity);
  std::vector<OpRecord> out;
  out.reserve(held);
  for (std::uint64_t ticket = next_ - held; ticket < next_; ++ticket) {
    out.push_back(ring_[ticket % kCapacity]);
  }
  return out;
}

namespace {

double milliseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string title(const OpRecord& record) {
  const std::string name = describe(record.kind, record.sequence, record.name.view());
  return record.kind == OpKind::barrier ? name : fmt::format("{} {} x {}", name, name_of(record.dtype), record.count);
}

}  // namespace

std::string FlightRecorder::text(TimePoint now) const {
  std::string out;
  for (const OpRecord& record : records()) {
    out += fmt::format("{} {} {:.3f} ms ago", title(record), name_of(record.state), milliseconds(now - record.start));
    if (record.state != OpState::started) {
      out += fmt::format(", took {:.3f} ms", milliseconds(record.end - record.start));
    }
    out += "\n";
  }
  return out;
}

std::string FlightRecorder::json(int rank, TimePoint now) const {
  nlohmann::json list = nlohmann::json::array();
  for (const OpRecord& record : records()) {
    nlohmann::json entry = {{"sequence", record.sequence},    {"kind", name_of(record.kind)},
                            {"name", record.name.view()},     {"dtype", name_of(record.dtype)},
                            {"count", record.count},          {"peer", record.peer},
                            {"state", name_of(record.state)}, {"age_ms", milliseconds(now - record.start)}};
    if (record.state != OpState::started) {
      entry["took_ms"] = milliseconds(record.end - record.start);
    }
    list.push_back(std::move(entry));
  }
  const nlohmann::json dump = {{"rank", rank}, {"records", std::move(list)}};
  return dump.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

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
                         : fmt::format("rank {} has not started it; its last is {} ({})", history.rank, title(*last),
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
  Divergence out{.sequence = usual->sequence, .ranks = {}, .text = title(*usual)};
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i] == nullptr) {
      out.ranks.push_back(histories[i].rank);
      out.text += (out.ranks.size() == 1 ? ": " : "; ") + where(histories[i]);
    } else if (!same(*ops[i], *usual)) {
      out.ranks.push_back(histories[i].rank);
      out.text +=
          fmt::format("{}rank {} has {} there", out.ranks.size() == 1 ? ": " : "; ", histories[i].rank, title(*ops[i]));
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
  out.text = fmt::format("{}: {} started it and did not complete it", title(*ops[0]), describe_ranks(out.ranks));
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
