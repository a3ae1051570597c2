#include "trireme/launcher/event_loop.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

int milliseconds_until(Clock::time_point deadline) {
  constexpr std::chrono::hours kLongest(1);  // "never" is looked at once an hour; poll() counts in int
  const auto left = std::clamp<Clock::duration>(deadline - Clock::now(), Clock::duration::zero(), kLongest);
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

}  // namespace

void EventLoop::watch(int fd, Handler handler) {
  watch(
      fd, [] { return POLLIN; }, std::move(handler));
}

void EventLoop::watch(int fd, Events events, Handler handler) {
  entries_.insert_or_assign(fd, Entry{std::move(events), std::move(handler)});
}

void EventLoop::forget(int fd) { entries_.erase(fd); }

void EventLoop::run_once(Clock::time_point deadline) {
  std::vector<pollfd> waiting;
  for (const auto& [fd, entry] : entries_) {
    if (const short events = entry.events(); events != 0) {
      waiting.push_back({fd, events, 0});
    }
  }
  if (::poll(waiting.data(), waiting.size(), milliseconds_until(deadline)) < 0) {
    require(errno == EINTR, "trireme run: waiting for the workers failed{}", errno_text(errno));
    return;
  }
  for (const pollfd& ready : waiting) {
    const auto entry = entries_.find(ready.fd);
    if (ready.revents != 0 && entry != entries_.end()) {
      const Handler handler = entry->second.handler;  // a copy: it may forget itself
      handler();
    }
  }
}

}  // namespace trireme::launcher
