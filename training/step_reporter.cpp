#include "trireme/training/step_reporter.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

constexpr std::int64_t kRatesKept = 1 << 20;
constexpr std::int64_t kRatesKeptUnknown = 1 << 16;
constexpr double kSmoothing = 0.05;

}  // namespace

StepReporter::StepReporter(const ReporterOptions& options)
    : options_(options),
      file_(options.active ? options.metrics_file : std::string(), options.append),
      progress_(options.active ? options.progress : ProgressMode::off, options.unit) {
  if (options_.active) {
    const std::int64_t steps = options_.steps_total - options_.first_step;
    // Sized and touched now, so that a step neither allocates nor meets a new page.
    rates_.assign(static_cast<std::size_t>(steps > 0 ? std::min(steps, kRatesKept) : kRatesKeptUnknown), 0.0f);
  }
}

void StepReporter::start() {
  stats_.sample();
  last_ = Clock::now();
}

void StepReporter::step(const strategies::StepReport& report, std::int64_t step, double learning_rate) {
  if (!options_.active) {
    return;
  }
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  const double rate = seconds > 0 ? report.weight / seconds : 0;
  remember_rate(rate);
  if (file_.enabled()) {
    const ProcessStats::Sample sample = stats_.sample();
    append_step_line(line_,
                     {.step = step,
                      .loss = report.loss,
                      .grad_norm = report.grad_norm,
                      .learning_rate = learning_rate,
                      .items = report.weight,
                      .seconds = seconds,
                      .comm_seconds = std::chrono::duration<double>(report.comm_time).count(),
                      .world_size = options_.world_size,
                      .generation = 0,
                      .peak_rss_bytes = sample.peak_rss_bytes,
                      .page_faults = sample.page_faults},
                     options_.unit);
    file_.write(line_);
  }
  const double part = rates_seen_ == 1 ? 1.0 : kSmoothing;
  smooth_rate_ += part * (rate - smooth_rate_);
  smooth_seconds_ += part * (seconds - smooth_seconds_);
  shown_ = progress_state(step + 1, report.loss);
  progress_.step(shown_, now);
}

void StepReporter::remember_rate(double items_per_second) {
  rates_[rates_seen_++ % rates_.size()] = static_cast<float>(items_per_second);
}

ProgressState StepReporter::progress_state(std::int64_t steps_done, double loss) const {
  const auto left = static_cast<double>(options_.steps_total - steps_done);
  return {.steps_done = steps_done,
          .steps_total = options_.steps_total,
          .loss = loss,
          .items_per_second = smooth_rate_,
          .seconds_left = options_.steps_total > 0 ? left * smooth_seconds_ : std::nan("")};
}

void StepReporter::skip_time() { last_ = Clock::now(); }

void StepReporter::epoch(const EpochMetrics& metrics) {
  append_epoch_line(line_, metrics);
  file_.write(line_);
  note(fmt::format("epoch {}: {}", metrics.epoch, metrics.test.text));
}

void StepReporter::note(std::string_view text) { progress_.note(text); }

void StepReporter::tell(std::string_view text) const {
  if (options_.active) {
    log::info("{}", text);
  }
}

void StepReporter::stopped(std::int64_t steps, std::string_view cause, bool saved) {
  append_stopped_line(line_, steps, cause, saved);
  file_.write(line_);
}

double StepReporter::done(DoneMetrics metrics) {
  std::vector<float> rates = rates_;
  rates.resize(std::min(rates_seen_, rates.size()));
  metrics.items_per_second = median_rate(std::move(rates));
  metrics.peak_rss_bytes = peak_rss_bytes();
  append_done_line(line_, metrics, options_.unit);
  file_.write(line_);
  return metrics.items_per_second;
}

void StepReporter::close() {
  if (rates_seen_ > 0) {
    progress_.finish(shown_);
  }
}

}  // namespace trireme::training
