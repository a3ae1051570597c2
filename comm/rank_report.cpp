#include "trireme/comm/rank_report.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace trireme::comm {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;

constexpr std::uint32_t kMagic = 0x7470726bu;

// Plain copies for the wire; times are ages in nanoseconds.
struct Head {
  std::uint32_t magic;
  std::int32_t rank;
  std::int32_t pid;
  Presence presence;
  bool has_activity;
  Phase phase;
  std::uint8_t host_bytes;
  std::int64_t step;
  std::int64_t phase_age;
  std::uint64_t records;
};
struct Line {
  std::uint64_t ticket;
  std::uint64_t sequence;
  std::int64_t count;
  std::int64_t start_age;
  std::int64_t end_age;
  std::int32_t peer;
  OpKind kind;
  DType dtype;
  OpState state;
  std::uint8_t name_bytes;
  char name[96];
};
static_assert(std::is_trivially_copyable_v<Head> && std::is_trivially_copyable_v<Line>);

Line to_line(const OpRecord& record, TimePoint now) {
  Line line{.ticket = record.ticket,
            .sequence = record.sequence,
            .count = record.count,
            .start_age = (now - record.start).count(),
            .end_age = (now - record.end).count(),
            .peer = record.peer,
            .kind = record.kind,
            .dtype = record.dtype,
            .state = record.state,
            .name_bytes = static_cast<std::uint8_t>(record.name.view().size()),
            .name = {}};
  std::copy_n(record.name.view().data(), line.name_bytes, line.name);
  return line;
}

OpRecord record_of(const Line& line, TimePoint now) {
  return {.ticket = line.ticket,
          .sequence = line.sequence,
          .kind = line.kind,
          .dtype = line.dtype,
          .state = line.state,
          .peer = line.peer,
          .count = line.count,
          .name = OpName(std::string_view(line.name, std::min<std::size_t>(line.name_bytes, sizeof line.name))),
          .start = now - std::chrono::nanoseconds(line.start_age),
          .end = now - std::chrono::nanoseconds(line.end_age)};
}

std::string whereabouts(const RankReport& report) {
  switch (report.presence) {
    case Presence::dead:
      return "which is dead";
    case Presence::left:
      return "which has left the communicator";
    case Presence::silent:
      return "which does not answer: it is stopped, cut off or dead";
    case Presence::stopped:
      return "which is stopped (state T: SIGSTOP or a debugger; `kill -CONT` lets it go on)";
    default:
      break;
  }
  const std::string activity = report.activity ? "which is " + describe(*report.activity) : "which lives";
  return report.presence == Presence::in_disk ? activity + ", and waits for a disk or a network file system (state D)"
                                              : activity;
}

}  // namespace

std::string describe(const RankReport& report) {
  const std::string host = report.host.empty() ? "" : " on " + report.host;
  const std::string pid = report.pid < 0 ? "" : fmt::format(" (pid {})", report.pid);
  return fmt::format("rank {}{}{}, {}", report.rank, host, pid, whereabouts(report));
}

std::string last_operation(const RankReport& report) {
  return report.records.empty() ? std::string("it has started no operation here")
                                : fmt::format("its last operation is {} ({})", title_of(report.records.back()),
                                              name_of(report.records.back().state));
}

std::string last_known(const RankReport& report) {
  if (!report.activity) {
    return last_operation(report);
  }
  const std::string step = report.activity->step < 0 ? "" : fmt::format(" (step {})", report.activity->step);
  return fmt::format("it was {}{}; {}", name_of(report.activity->phase), step, last_operation(report));
}

std::vector<std::byte> pack(const RankReport& report, TimePoint now, std::size_t most) {
  const std::size_t host_bytes = std::min<std::size_t>(report.host.size(), 255);
  const std::size_t fixed = sizeof(Head) + host_bytes;
  const std::size_t lines = std::min(report.records.size(), most < fixed ? 0 : (most - fixed) / sizeof(Line));
  const Activity activity = report.activity.value_or(Activity{});
  const Head head{.magic = kMagic,
                  .rank = report.rank,
                  .pid = report.pid,
                  .presence = report.presence,
                  .has_activity = report.activity.has_value(),
                  .phase = activity.phase,
                  .host_bytes = static_cast<std::uint8_t>(host_bytes),
                  .step = activity.step,
                  .phase_age = activity.age.count(),
                  .records = lines};
  std::vector<std::byte> bytes(fixed + lines * sizeof(Line));
  std::memcpy(bytes.data(), &head, sizeof head);
  std::copy_n(reinterpret_cast<const std::byte*>(report.host.data()), host_bytes, bytes.data() + sizeof head);
  for (std::size_t i = 0; i < lines; ++i) {
    const Line line = to_line(report.records[report.records.size() - lines + i], now);
    std::memcpy(bytes.data() + fixed + i * sizeof line, &line, sizeof line);
  }
  return bytes;
}

std::optional<RankReport> unpack(std::span<const std::byte> bytes, TimePoint now) {
  Head head{};
  if (bytes.size() < sizeof head) {
    return std::nullopt;
  }
  std::memcpy(&head, bytes.data(), sizeof head);
  const std::size_t fixed = sizeof head + head.host_bytes;
  if (head.magic != kMagic || bytes.size() < fixed || head.records != (bytes.size() - fixed) / sizeof(Line)) {
    return std::nullopt;
  }
  RankReport report{.rank = head.rank,
                    .host = std::string(reinterpret_cast<const char*>(bytes.data()) + sizeof head, head.host_bytes),
                    .pid = head.pid,
                    .presence = head.presence,
                    .activity = {},
                    .records = {}};
  if (head.has_activity) {
    report.activity = Activity{head.phase, head.step, std::chrono::nanoseconds(head.phase_age)};
  }
  for (std::size_t i = 0; i < head.records; ++i) {
    Line line{};
    std::memcpy(&line, bytes.data() + fixed + i * sizeof line, sizeof line);
    report.records.push_back(record_of(line, now));
  }
  return report;
}

Presence presence_of_process(int pid) {
  char text[512];
  const int file = ::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t got = file < 0 ? -1 : ::read(file, text, sizeof text);
  if (file >= 0) {
    ::close(file);
  }
  const std::string_view stat(text, got < 0 ? 0 : static_cast<std::size_t>(got));
  const std::size_t name_end = stat.rfind(')');  // the name may hold anything, this sign too
  const char state = name_end == std::string_view::npos || name_end + 2 >= stat.size() ? 'X' : stat[name_end + 2];
  switch (state) {
    case 'T':
    case 't':
      return Presence::stopped;
    case 'D':
      return Presence::in_disk;
    case 'X':
    case 'x':
    case 'Z':
      return Presence::dead;
    default:
      return Presence::alive;
  }
}

}  // namespace trireme::comm
