#include "trireme/launcher/console.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace trireme::launcher {
namespace {

bool writable(int fd, int milliseconds) {
  pollfd waiting{fd, POLLOUT, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

}  // namespace

Console::Console(int fd, EventLoop& loop) : fd_(fd), loop_(loop) {
  loop_.watch(
      fd_, [this] { return static_cast<short>(waiting_.empty() ? 0 : POLLOUT); }, [this] { write_what_fits(); });
}

Console::~Console() { loop_.forget(fd_); }

void Console::write(std::string_view text) {
  if (!broken_) {
    waiting_.append(text);
    write_what_fits();
  }
}

void Console::write_what_fits() {
  std::size_t done = 0;
  while (done < waiting_.size() && writable(fd_, 0)) {
    // A writable pipe takes PIPE_BUF bytes at once; a longer write could block.
    const ssize_t wrote = ::write(fd_, waiting_.data() + done, std::min<std::size_t>(waiting_.size() - done, PIPE_BUF));
    if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
      broken_ = true;
      waiting_.clear();
      return;
    }
    if (wrote <= 0) {
      break;
    }
    done += static_cast<std::size_t>(wrote);
  }
  waiting_.erase(0, done);
}

void Console::flush(Clock::time_point deadline) {
  while (!waiting_.empty() && Clock::now() < deadline) {
    if (writable(fd_, 20)) {
      write_what_fits();
    }
  }
}

}  // namespace trireme::launcher
