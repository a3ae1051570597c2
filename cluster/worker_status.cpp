#include "trireme/cluster/worker_status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

namespace trireme::cluster {
namespace {

constexpr int kAnswerDeadlineMs = 10'000;
constexpr std::size_t kMaxMessage = 1024;

template <class Integer>
std::optional<Integer> parse_whole(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::optional<int> integer_variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : parse_whole<int>(text);
}

void send_line(int fd, std::string_view line) noexcept {
  [[maybe_unused]] const ssize_t ignored = ::send(fd, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// The launcher may have killed or stopped this process instead of answering; then nothing below ever runs.
Rehearsal await_answer(int fd) noexcept {
  pollfd waiting{fd, POLLIN, 0};
  if (::poll(&waiting, 1, kAnswerDeadlineMs) != 1) {
    return Rehearsal::none;
  }
  char buffer[64];
  const ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  const std::string_view answer(buffer, got < 0 ? 0 : static_cast<std::size_t>(got));
  constexpr std::string_view kExit = "exit ";
  if (answer.starts_with(kExit)) {
    ::_exit(parse_whole<int>(answer.substr(kExit.size())).value_or(1));
  }
  return answer == "disk_full" ? Rehearsal::disk_full : Rehearsal::none;
}

}  // namespace

WorkerStatus::WorkerStatus(int fd, bool rehearsed) : rehearsed_(rehearsed) {
  if (fd >= 0) {
    fd_ = std::shared_ptr<const int>(new int(fd), [](const int* owned) {
      ::close(*owned);
      delete owned;
    });
  }
}

WorkerStatus WorkerStatus::from_environment() {
  const std::optional<int> fd = integer_variable(kStatusFdVariable);
  // A socket and nothing else: the variable may have come from an outer job whose descriptor is long closed.
  int type = 0;
  socklen_t length = sizeof type;
  if (!fd || ::getsockopt(*fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET) {
    return WorkerStatus(-1);
  }
  ::fcntl(*fd, F_SETFD, FD_CLOEXEC);
  // A duplicate, so that a second call in this process gets one of its own.
  return WorkerStatus(::fcntl(*fd, F_DUPFD_CLOEXEC, 3), std::getenv(kInjectVariable) != nullptr);
}

Rehearsal WorkerStatus::report_step(std::int64_t step) noexcept {
  if (!fd_) {
    return Rehearsal::none;
  }
  char line[32];
  const auto end = fmt::format_to_n(line, sizeof line, "step {}\n", step);
  send_line(*fd_, {line, end.size});
  return rehearsed_ ? await_answer(*fd_) : Rehearsal::none;
}

void WorkerStatus::report_error(std::string_view message, bool because_of_peer) noexcept {
  if (!fd_) {
    return;
  }
  char line[kMaxMessage];
  const auto end = fmt::format_to_n(line, sizeof line, "{}{}", because_of_peer ? "peer-error " : "error ", message);
  send_line(*fd_, {line, std::min(end.size, sizeof line)});
}

int restart_count_from_environment() { return integer_variable(kRestartCountVariable).value_or(0); }

WorkerReport parse_worker_report(std::string_view line) {
  while (line.ends_with('\n')) {
    line.remove_suffix(1);
  }
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  const std::string_view rest = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
  using Kind = WorkerReport::Kind;
  if (word == "step") {
    const auto step = parse_whole<std::int64_t>(rest);
    return step && *step >= 0 ? WorkerReport{Kind::step, *step, {}} : WorkerReport{};
  }
  if (word == "error" || word == "peer-error") {
    return {word == "error" ? Kind::error : Kind::peer_error, -1, rest};
  }
  return {};
}

}  // namespace trireme::cluster
