#include "trireme/training/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <iterator>
#include <limits>

#include "trireme/core/base/error.h"

namespace trireme::training {
namespace {

template <class... Args>
void append(TextBuffer& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_number(TextBuffer& out, std::string_view name, double value) {
  if (std::isfinite(value)) {
    append(out, ",\"{}\":{:.9g}", name, value);
  } else {
    append(out, ",\"{}\":null", name);  // JSON has no NaN
  }
}

void append_test(TextBuffer& out, const TestResult& test) {
  for (const TestResult::Number& number : test.numbers) {
    append_number(out, number.name, number.value);
  }
  append(out, ",\"test_examples\":{}", test.items);
}

double rate(double items, double seconds) { return seconds > 0 ? items / seconds : std::nan(""); }

}  // namespace

void append_step_line(TextBuffer& out, const StepMetrics& step, std::string_view unit) {
  append(out, "{{\"step\":{}", step.step);
  append_number(out, "loss", step.loss);
  append(out, ",\"loss_bits\":\"{:08x}\"", std::bit_cast<std::uint32_t>(static_cast<float>(step.loss)));
  append_number(out, "grad_norm", step.grad_norm);
  append_number(out, "lr", step.learning_rate);
  append_number(out, unit, step.items);
  append(out, ",\"{}_per_s\":", unit);
  const double per_second = rate(step.items, step.seconds);
  std::isfinite(per_second) ? append(out, "{:.9g}", per_second) : append(out, "null");
  append_number(out, "step_ms", step.seconds * 1e3);
  append_number(out, "comm_ms", step.comm_seconds * 1e3);
  append(out, ",\"world_size\":{},\"generation\":{},\"peak_rss_bytes\":{},\"page_faults\":{}}}\n", step.world_size,
         step.generation, step.peak_rss_bytes, step.page_faults);
}

void append_epoch_line(TextBuffer& out, const EpochMetrics& epoch) {
  append(out, "{{\"epoch\":{}", epoch.epoch);
  append_test(out, epoch.test);
  append(out, ",\"steps\":{}}}\n", epoch.steps);
}

void append_done_line(TextBuffer& out, const DoneMetrics& done, std::string_view unit) {
  append(out, "{{\"done\":true,\"steps\":{},\"params_hash\":\"{}\",\"{}_per_s\":", done.steps, done.params_hash, unit);
  std::isfinite(done.items_per_second) ? append(out, "{:.9g}", done.items_per_second) : append(out, "null");
  append(out, ",\"backend\":\"{}\",\"comm_bytes\":{},\"peak_rss_bytes\":{}", done.backend, done.comm_bytes,
         done.peak_rss_bytes);
  if (done.test) {
    append_test(out, *done.test);
  }
  append(out, "}}\n");
}

void append_stopped_line(TextBuffer& out, std::int64_t steps, std::string_view cause, bool saved) {
  append(out, "{{\"event\":\"stopped\",\"steps\":{},\"cause\":\"{}\",\"saved\":{}}}\n", steps, cause, saved);
}

double median_rate(std::vector<float> rates) {
  const std::size_t skip = rates.size() >= 12 ? 5 : 2;
  if (rates.size() <= skip) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  rates.erase(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(skip));
  std::sort(rates.begin(), rates.end());
  const std::size_t count = rates.size();
  return (static_cast<double>(rates[(count - 1) / 2]) + static_cast<double>(rates[count / 2])) / 2;
}

MetricsFile::MetricsFile(const std::string& path, bool append) : path_(path) {
  if (path.empty()) {
    return;
  }
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (append ? 0 : O_TRUNC), 0644);
  require(descriptor_ >= 0, "--metrics {}: cannot be opened for writing{}", path, errno_text(errno));
}

MetricsFile::~MetricsFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void MetricsFile::write(TextBuffer& lines) {
  const char* at = lines.data();
  std::size_t left = enabled() ? lines.size() : 0;
  while (left > 0) {
    const ssize_t written = ::write(descriptor_, at, left);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    require(written > 0, "--metrics {}: writing failed{}; free some space or leave --metrics out", path_,
            errno_text(errno));
    at += written;
    left -= static_cast<std::size_t>(written);
  }
  lines.clear();
}

}  // namespace trireme::training
