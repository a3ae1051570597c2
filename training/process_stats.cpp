#include "trireme/training/process_stats.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace trireme::training {
namespace {

// A line of /proc/self/status, which counts in KiB; 0 if it is not there.
std::int64_t status_bytes(std::string_view key) {
  const int descriptor = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return 0;
  }
  char text[4096];
  const ssize_t length = ::read(descriptor, text, sizeof text);
  ::close(descriptor);
  const std::string_view status(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  const std::size_t at = status.find(key);
  if (at == std::string_view::npos) {
    return 0;
  }
  const std::size_t digits = status.find_first_of("0123456789", at);
  std::int64_t kilobytes = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(status.data() + digits, status.data() + status.size(), kilobytes);
  }
  return kilobytes * 1024;
}

}  // namespace

std::int64_t minor_page_faults() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_minflt : 0;
}

std::int64_t peak_rss_bytes() { return status_bytes("VmHWM:"); }
std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }

ProcessStats::ProcessStats() : faults_(minor_page_faults()), peak_(training::peak_rss_bytes()) {}

ProcessStats::Sample ProcessStats::sample() {
  const std::int64_t now = minor_page_faults();
  const std::int64_t since = now - faults_;
  faults_ = now;
  if (since > 0) {
    peak_ = training::peak_rss_bytes();
  }
  return {since, peak_};
}

}  // namespace trireme::training
