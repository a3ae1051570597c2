#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/launcher/bench.h"
#include "trireme/launcher/fd.h"
#include "trireme/launcher/stopwatch.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

void futex(std::atomic<int>& word, int operation, int value) {
  ::syscall(SYS_futex, reinterpret_cast<int*>(&word), operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

void exchange_byte(int read_from, int write_to, bool first) {
  char byte = 0;
  bool ok = !first || ::write(write_to, &byte, 1) == 1;
  ok = ok && ::read(read_from, &byte, 1) == 1;
  ok = ok && (first || ::write(write_to, &byte, 1) == 1);
  static_cast<void>(ok);  // a broken pipe ends the exchange early; both ends are ours
}

}  // namespace

double barrier_seconds() {
  constexpr int kRounds = 20'000;
  alignas(64) std::atomic<int> arrived[2][16] = {};  // a cache line each
  double best = 1;
  for (int repeat = 0; repeat < 5; ++repeat) {
    arrived[0][0] = arrived[1][0] = 0;
    const double seconds = seconds_together(2, [&](int thread) {
      for (int round = 1; round <= kRounds; ++round) {
        arrived[thread][0].store(round, std::memory_order_release);
        // Yields now and then: on a machine with one free core the other side could not run at all.
        for (int spins = 1; arrived[1 - thread][0].load(std::memory_order_acquire) < round; ++spins) {
          if (spins % 4096 == 0) {
            std::this_thread::yield();
          }
        }
      }
    });
    best = std::min(best, seconds / kRounds);
  }
  return best;
}

double futex_wake_seconds() {
  constexpr int kRounds = 300;
  std::atomic<int> word{0};
  std::atomic<Clock::rep> woken_at{0};
  std::vector<double> seconds;
  std::thread sleeper([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (word.load() < round) {
        futex(word, FUTEX_WAIT, round - 1);
      }
      woken_at.store(Clock::now().time_since_epoch().count());
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // the other side is asleep by then
    woken_at.store(0);
    const auto start = Clock::now().time_since_epoch().count();
    word.store(round);
    futex(word, FUTEX_WAKE, 1);
    while (woken_at.load() == 0) {
      std::this_thread::yield();
    }
    seconds.push_back(std::chrono::duration<double>(Clock::duration(woken_at.load() - start)).count());
  }
  sleeper.join();
  std::nth_element(seconds.begin(), seconds.begin() + kRounds / 2, seconds.end());
  return seconds[kRounds / 2];
}

double pipe_round_trip_seconds() {
  constexpr int kRounds = 3000;
  int there[2];
  int back[2];
  require(::pipe2(there, O_CLOEXEC) == 0 && ::pipe2(back, O_CLOEXEC) == 0, "trireme bench: no pipe{}",
          errno_text(errno));
  const Fd ends[] = {Fd(there[0]), Fd(there[1]), Fd(back[0]), Fd(back[1])};
  return seconds_together(2,
                          [&](int thread) {
                            for (int round = 0; round < kRounds; ++round) {
                              exchange_byte(thread == 0 ? back[0] : there[0], thread == 0 ? there[1] : back[1],
                                            thread == 0);
                            }
                          }) /
         kRounds;
}

}  // namespace trireme::launcher
