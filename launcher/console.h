// The launcher's own stdout or stderr, written without ever blocking.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "trireme/launcher/event_loop.h"

namespace trireme::launcher {

// A terminal that is held (Ctrl-S) or a reader that is slow must not keep the launcher from noticing a death. So text
// waits here until the descriptor takes it, and while much waits, the workers' pipes are left alone: they fill, and the
// workers wait, as they would without a launcher.
class Console {
 public:
  // `fd` is borrowed and left in the mode it has (its flags are shared with the shell).
  Console(int fd, EventLoop& loop);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Writes now what the descriptor takes and keeps the rest. Never blocks, never raises: where the reader is gone, the
  // text is dropped.
  void write(std::string_view text);
  // False while so much waits that no more should be read from workers.
  bool accepts() const { return waiting_.size() < kMaxWaiting; }
  // Waits until all is written, at most until `deadline`.
  void flush(Clock::time_point deadline);

 private:
  static constexpr std::size_t kMaxWaiting = 256 * 1024;
  void write_what_fits();

  int fd_;
  EventLoop& loop_;
  std::string waiting_;
  bool broken_ = false;
};

}  // namespace trireme::launcher
