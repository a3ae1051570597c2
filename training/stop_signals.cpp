#include "trireme/training/stop_signals.h"

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

namespace trireme::training {
namespace {

constexpr std::array kSignals = {SIGTERM, SIGINT, SIGUSR1};
constexpr std::int64_t kImpatientNanoseconds = 1'000'000'000;

// A signal handler can only reach globals; everything it touches is lock-free.
std::atomic<int> first_signal{0};
std::atomic<std::int64_t> first_time{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::mutex mutex;
int users = 0;
bool installed = false;
bool staying = false;
std::array<struct sigaction, kSignals.size()> before;

std::int64_t now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void on_signal(int number) {
  int expected = 0;
  if (first_signal.compare_exchange_strong(expected, number)) {
    first_time = now();
  } else if (now() - first_time > kImpatientNanoseconds) {
    signal(number, SIG_DFL);
    raise(number);
  }
}

}  // namespace

StopSignals::StopSignals() {
  const std::lock_guard lock(mutex);
  if (users++ > 0) {
    return;
  }
  first_signal = 0;
  staying = false;
  if (installed) {  // they stayed after an earlier run
    return;
  }
  installed = true;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // waits and writes in progress go on; the run ends at the step's end
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before[i]);
  }
}

StopSignals::~StopSignals() {
  const std::lock_guard lock(mutex);
  if (--users > 0 || staying) {
    return;
  }
  installed = false;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before[i], nullptr);
  }
}

int StopSignals::received() noexcept { return first_signal.load(std::memory_order_relaxed); }

void StopSignals::stay() noexcept {
  const std::lock_guard lock(mutex);
  staying = true;
}

const char* signal_name(int number) noexcept {
  switch (number) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return "a signal";
  }
}

}  // namespace trireme::training
