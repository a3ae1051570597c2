// How far a long piece of work over bytes has come: a bar in a terminal, log lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "trireme/training/progress_line.h"

namespace trireme::launcher {

struct ByteState {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  double seconds = 0;  // since the start
};

// "verify step-00000042 [====>     ] 1.2 GiB of 4.0 GiB  350.0 MiB/s  8s left", at most `width` columns; what does not
// fit is left out from the right, the bar first. A width of 0: no bar, any length.
std::string render_bytes(const std::string& what, const ByteState& state, int width, bool color);

// Nothing is shown of work that is over at once. One thread.
class ByteProgress {
 public:
  ByteProgress(training::ProgressMode mode, std::string what, std::uint64_t total);

  void advance(std::uint64_t bytes);

 private:
  std::string what_;
  ByteState state_;
  std::chrono::steady_clock::time_point start_;
  training::ProgressLine line_;
};

}  // namespace trireme::launcher
