#include "trireme/training/status_signal.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "trireme/comm/rank_report.h"
#include "trireme/core/base/error.h"

namespace trireme::training {
namespace {

constexpr std::size_t kOperations = 16;

// A signal handler can only reach globals.
std::atomic<int> wake_end{-1};

void on_signal(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t ignored = ::write(wake_end.load(), "s", 1);
  errno = saved;
}

void print_on_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string status_text(const comm::Communicator& communicator) {
  const comm::RankReport report = communicator.own_report(kOperations);
  const auto now = std::chrono::steady_clock::now();
  std::string text = fmt::format("rank {} of {} on {} (pid {}), backend {}: {}\n", report.rank, communicator.size(),
                                 report.host, report.pid, communicator.backend(), describe(*report.activity));
  for (const comm::OpRecord& record : report.records) {
    text += "  " + comm::line_of(record, now) + "\n";
  }
  return report.records.empty() ? text + "  no operation so far\n" : text;
}

StatusSignal::StatusSignal(Print print) : print_(print ? std::move(print) : print_on_stderr) {
  require(::pipe2(wake_, O_CLOEXEC) == 0, "SIGUSR2: no pipe{}; raise `ulimit -n`", errno_text(errno));
  ::fcntl(wake_[1], F_SETFL, O_NONBLOCK);  // many signals at once are answered once
  wake_end = wake_[1];
  thread_ = std::thread([this] { answer(); });
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR2, &action, &before_);
}

StatusSignal::~StatusSignal() {
  sigaction(SIGUSR2, &before_, nullptr);
  [[maybe_unused]] const ssize_t ignored = ::write(wake_[1], "q", 1);
  thread_.join();
  wake_end = -1;
  ::close(wake_[0]);
  ::close(wake_[1]);
}

void StatusSignal::answer() {
  char letters[64];
  while (true) {
    const ssize_t got = ::read(wake_[0], letters, sizeof letters);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    const std::string_view read(letters, got < 0 ? 0 : static_cast<std::size_t>(got));
    if (read.empty() || read.find('q') != std::string_view::npos) {
      return;
    }
    print_(text());
  }
}

std::string StatusSignal::text() {
  const std::lock_guard lock(mutex_);
  std::string text = ranks_.empty() ? fmt::format("pid {}: no rank yet, or no rank any more\n", ::getpid()) : "";
  for (const auto& [rank, communicator] : ranks_) {
    text += status_text(*communicator);
  }
  return text;
}

std::unique_ptr<StatusSignal::Listed> StatusSignal::list(std::shared_ptr<const comm::Communicator> communicator) {
  const int rank = communicator->rank();
  {
    const std::lock_guard lock(mutex_);
    ranks_[rank] = std::move(communicator);
  }
  return std::make_unique<Listed>(*this, rank);
}

StatusSignal::Listed::~Listed() {
  const std::lock_guard lock(owner_.mutex_);
  owner_.ranks_.erase(rank_);
}

}  // namespace trireme::training
