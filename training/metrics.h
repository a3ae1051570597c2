// The metrics file: one JSON object a line (docs/architecture.md), for people's plots and for scripts.
// Formatting is apart from writing, so that it is tested without files.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/training/test_result.h"

namespace trireme::training {

// What is counted: "tokens" for text, "examples" for images. A string literal.
struct StepMetrics {
  std::int64_t step = 0;
  double loss = 0;
  double grad_norm = 0;
  double learning_rate = 0;
  double items = 0;
  double seconds = 0;
  double comm_seconds = 0;
  int world_size = 1;
  std::int64_t generation = 0;
  std::int64_t peak_rss_bytes = 0;
  std::int64_t page_faults = 0;
};

struct EpochMetrics {
  std::int64_t epoch = 0;
  std::int64_t steps = 0;  // finished so far
  TestResult test;
};

struct DoneMetrics {
  std::int64_t steps = 0;
  std::string params_hash = {};
  double items_per_second = 0;  // median, see median_rate()
  std::string_view backend = {};
  std::uint64_t comm_bytes = 0;
  std::int64_t peak_rss_bytes = 0;
  std::optional<TestResult> test = {};
};

using TextBuffer = fmt::memory_buffer;

// Each appends one line with its newline. Floats have 9 significant digits; NaN and infinity are null.
void append_step_line(TextBuffer& out, const StepMetrics& step, std::string_view unit);
void append_epoch_line(TextBuffer& out, const EpochMetrics& epoch);
void append_done_line(TextBuffer& out, const DoneMetrics& done, std::string_view unit);
void append_stopped_line(TextBuffer& out, std::int64_t steps, std::string_view cause, bool saved);

// The median rate after the first 5 steps (2 if fewer than 12); NaN if that leaves none. Reorders `rates`.
double median_rate(std::vector<float> rates);

// The file. Every line is handed to the system before write() returns (no fsync). Raises Error with the path and the
// cause when the file cannot be written.
class MetricsFile {
 public:
  // Empty path: nothing is written. `append`: keep what is there (a resumed run), else begin anew.
  MetricsFile(const std::string& path, bool append);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  bool enabled() const { return descriptor_ >= 0; }
  // Writes the buffer and clears it.
  void write(TextBuffer& lines);

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace trireme::training
