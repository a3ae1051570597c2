#include "trireme/comm/flight_recorder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <type_traits>

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

namespace {

// What is stored of a record, in words: readers may look while it is written.
struct Stored {
  std::uint64_t sequence;
  std::int64_t count;
  std::int64_t start;
  std::int32_t peer;
  OpKind kind;
  DType dtype;
  std::uint16_t name_bytes;
  char name[96];
};
static_assert(sizeof(Stored) % 8 == 0 && std::is_trivially_copyable_v<Stored>);
using Words = std::array<std::uint64_t, sizeof(Stored) / 8>;

// A record's state and the time of its end, in one word.
constexpr unsigned kEndBits = 62;
std::uint64_t pack_end(OpState state, FlightRecorder::TimePoint time) {
  const auto count = static_cast<std::uint64_t>(time.time_since_epoch().count());
  return static_cast<std::uint64_t>(state) << kEndBits | (count & ((std::uint64_t{1} << kEndBits) - 1));
}

FlightRecorder::TimePoint time_at(std::int64_t count) {
  return FlightRecorder::TimePoint(FlightRecorder::TimePoint::duration(count));
}

}  // namespace

// `version` is 2 * ticket + 2 once the record is whole, and odd while it is written. Words are stored with release and
// loaded with acquire, so whoever sees a new word also sees that the version has changed.
struct FlightRecorder::Entry {
  std::atomic<std::uint64_t> version{0};
  std::atomic<std::uint64_t> end{0};
  std::array<std::atomic<std::uint64_t>, sizeof(Stored) / 8> words{};
};

FlightRecorder::FlightRecorder() : ring_(std::make_unique<Entry[]>(kCapacity)) {}
FlightRecorder::~FlightRecorder() = default;

std::uint64_t FlightRecorder::started(const Operation& operation, TimePoint now) {
  Stored stored{.sequence = operation.sequence,
                .count = count_of(operation),
                .start = now.time_since_epoch().count(),
                .peer = operation.peer,
                .kind = operation.kind,
                .dtype = dtype_of_operation(operation),
                .name_bytes = static_cast<std::uint16_t>(operation.name.view().size()),
                .name = {}};
  std::copy_n(operation.name.view().data(), stored.name_bytes, stored.name);
  const auto words = std::bit_cast<Words>(stored);
  const std::uint64_t ticket = next_.load(std::memory_order_relaxed);
  Entry& entry = ring_[ticket % kCapacity];
  entry.version.store(2 * ticket + 1, std::memory_order_relaxed);
  entry.end.store(pack_end(OpState::started, {}), std::memory_order_release);
  for (std::size_t i = 0; i < words.size(); ++i) {
    entry.words[i].store(words[i], std::memory_order_release);
  }
  entry.version.store(2 * ticket + 2, std::memory_order_release);
  next_.store(ticket + 1, std::memory_order_release);
  return ticket;
}

void FlightRecorder::end(std::uint64_t ticket, OpState state, TimePoint now) {
  Entry& entry = ring_[ticket % kCapacity];
  if (entry.version.load(std::memory_order_acquire) == 2 * ticket + 2) {
    entry.end.store(pack_end(state, now), std::memory_order_release);
  }
}

bool FlightRecorder::read(std::uint64_t ticket, OpRecord& record) const {
  const Entry& entry = ring_[ticket % kCapacity];
  if (entry.version.load(std::memory_order_acquire) != 2 * ticket + 2) {
    return false;
  }
  const std::uint64_t end = entry.end.load(std::memory_order_acquire);
  Words words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = entry.words[i].load(std::memory_order_acquire);
  }
  if (entry.version.load(std::memory_order_relaxed) != 2 * ticket + 2) {
    return false;
  }
  const auto stored = std::bit_cast<Stored>(words);
  record.ticket = ticket;
  record.sequence = stored.sequence;
  record.kind = stored.kind;
  record.dtype = stored.dtype;
  record.state = static_cast<OpState>(end >> kEndBits);
  record.peer = stored.peer;
  record.count = stored.count;
  record.name = OpName(std::string_view(stored.name, stored.name_bytes));
  record.start = time_at(stored.start);
  record.end = time_at(static_cast<std::int64_t>(end & ((std::uint64_t{1} << kEndBits) - 1)));
  return true;
}

std::vector<OpRecord> FlightRecorder::records(std::size_t most) const {
  const std::uint64_t next = next_.load(std::memory_order_acquire);
  const std::uint64_t held = std::min<std::uint64_t>({next, kCapacity, most});
  std::vector<OpRecord> out;
  out.reserve(held);
  for (std::uint64_t ticket = next - held; ticket < next; ++ticket) {
    OpRecord record;
    if (read(ticket, record)) {
      out.push_back(std::move(record));
    }
  }
  return out;
}

namespace {

double milliseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

std::string title_of(const OpRecord& record) {
  const std::string name = describe(record.kind, record.sequence, record.name.view());
  return record.kind == OpKind::barrier ? name : fmt::format("{} {} x {}", name, name_of(record.dtype), record.count);
}

std::string line_of(const OpRecord& record, FlightRecorder::TimePoint now) {
  std::string line =
      fmt::format("{} {} {:.3f} ms ago", title_of(record), name_of(record.state), milliseconds(now - record.start));
  return record.state == OpState::started
             ? line
             : line + fmt::format(", took {:.3f} ms", milliseconds(record.end - record.start));
}

std::string FlightRecorder::text(TimePoint now) const {
  std::string out;
  for (const OpRecord& record : records()) {
    out += line_of(record, now) + "\n";
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

}  // namespace trireme::comm
