// One output stream of one worker, carried to the console and to a log file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/launcher/console.h"
#include "trireme/launcher/fd.h"
#include "trireme/launcher/line_tail.h"

namespace trireme::launcher {

struct RelayTarget {
  Console* console = nullptr;  // null: not shown
  std::string prefix;          // "[rank 1] " before each line; empty: bytes pass as they come (progress bars)
  std::string log_path;        // empty: no file
};

// Reads the worker's pipe in the event loop until its end. With a prefix, lines of different ranks never mix: a line is
// shown when it is whole (or longer than 64 KiB).
class OutputRelay {
 public:
  // Opens the log file; raises Error if it cannot.
  OutputRelay(Fd pipe, RelayTarget target, EventLoop& loop);
  ~OutputRelay();
  OutputRelay(const OutputRelay&) = delete;
  OutputRelay& operator=(const OutputRelay&) = delete;

  // The worker has ended: takes what still lies in the pipe without waiting for more (a grandchild may hold the pipe
  // open for ever), shows an unfinished last line, and closes.
  void finish();

  std::vector<std::string> last_lines() const { return tail_.lines(); }
  const std::string& log_path() const { return target_.log_path; }

 private:
  bool read_some();  // false: nothing more now
  void take(std::string_view text);
  void show_whole_lines();
  void log(std::string_view text);
  void close();

  Fd pipe_;
  RelayTarget target_;
  EventLoop& loop_;
  Fd log_;
  LineTail tail_;
  std::string line_;  // not yet shown
};

}  // namespace trireme::launcher
