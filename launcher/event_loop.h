// One thread waits for everything: deaths, signals, output, reports.
#pragma once

#include <chrono>
#include <functional>
#include <map>

namespace trireme::launcher {

using Clock = std::chrono::steady_clock;

// poll() over descriptors and their handlers. poll and not epoll, because a console that is redirected to a file must
// be waited for as well, and a launcher has a few hundred descriptors at most. One thread.
class EventLoop {
 public:
  using Events = std::function<short()>;  // POLLIN, POLLOUT, or 0: not now; asked before each wait
  using Handler = std::function<void()>;

  // Calls `handler` whenever `fd` has one of the events, or its other side is gone. The caller keeps the descriptor
  // open until forget(fd). A handler may watch and forget any descriptor, its own included.
  void watch(int fd, Handler handler);  // POLLIN
  void watch(int fd, Events events, Handler handler);
  void forget(int fd);

  // Waits until something happens, at most until `deadline`, and calls the handlers of all that happened.
  void run_once(Clock::time_point deadline);

 private:
  struct Entry {
    Events events;
    Handler handler;
  };
  std::map<int, Entry> entries_;
};

}  // namespace trireme::launcher
