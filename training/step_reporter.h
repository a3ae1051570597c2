// Rank 0's account of a run: the metrics file and the progress shown. On other ranks it does nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/strategies/strategy.h"
#include "trireme/training/metrics.h"
#include "trireme/training/process_stats.h"
#include "trireme/training/progress.h"

namespace trireme::training {

struct ReporterOptions {
  bool active = true;             // this rank reports
  std::string metrics_file = {};  // empty: none
  bool append = false;            // to the metrics file: the run was resumed
  ProgressMode progress = ProgressMode::automatic;
  std::string_view unit = "examples";
  std::int64_t first_step = 0;   // of this run
  std::int64_t steps_total = 0;  // 0: not known
  int world_size = 1;
};

// A step's time is from the end of the step before to its own end: loading data, writing this report and taking
// snapshots count; evaluation does not (see skip_time). A step costs a few microseconds, and no allocation.
class StepReporter {
 public:
  explicit StepReporter(const ReporterOptions& options);

  void start();
  // `report` is the step that ended now.
  void step(const strategies::StepReport& report, std::int64_t step, double learning_rate,
            const std::optional<SaveMetrics>& save = {});
  // The time since the last step, or the last call, belongs to no step.
  void skip_time();
  void epoch(const EpochMetrics& metrics);
  // A line of text for people, if they want to see progress.
  void note(std::string_view text);
  // The same in any case.
  void tell(std::string_view text) const;
  void stopped(std::int64_t steps, std::string_view cause, bool saved);
  // Fills in the median rate and the peak memory; returns the rate.
  double done(DoneMetrics metrics);
  // Ends the progress line.
  void close();

 private:
  using Clock = std::chrono::steady_clock;
  void remember_rate(double items_per_second);
  ProgressState progress_state(std::int64_t steps_done, double loss) const;

  ReporterOptions options_;
  MetricsFile file_;
  Progress progress_;
  ProcessStats stats_;
  TextBuffer line_;
  Clock::time_point last_{};
  std::vector<float> rates_;  // a ring of the newest
  std::size_t rates_seen_ = 0;
  double smooth_rate_ = 0;  // what people see: the recent average
  double smooth_seconds_ = 0;
  ProgressState shown_;
};

}  // namespace trireme::training
