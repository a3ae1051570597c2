// Runs the built programs as a user does: arguments and environment in; exit code, output and time out.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/sanitizers.h"

namespace trireme::test {

struct Outcome {
  int code = -1;    // exit code, or 128 + signal
  std::string out;  // stdout
  std::string err;  // stderr
  double seconds = 0;
};

// A started program of build/bin. Killed (SIGKILL) if it is still alive when this goes away.
class Process {
 public:
  // `words[0]` is the program's name. `environment` is added to this process's.
  explicit Process(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Sends a signal to the program alone.
  void send(int signal) const;
  // Blocks until it ends, at most `limit` (then it is killed and the test fails).
  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(60) * kPatience);

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::chrono::steady_clock::time_point start_;
};

Outcome run(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment = {});

// The same words with more behind them.
std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more);

std::string read_text(const std::string& path);
// The objects of a metrics file, one a line.
std::vector<nlohmann::json> read_metrics(const std::string& path);
// The params_hash that a metrics file's last line tells.
std::string hash_of(const std::string& metrics_file);

// Blocks until the file has a line with this text, at most ten seconds; false if it never came.
bool wait_for_text(const std::string& path, const std::string& text);

}  // namespace trireme::test
