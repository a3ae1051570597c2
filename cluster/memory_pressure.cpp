#include "trireme/cluster/memory_pressure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "trireme/cluster/text_file.h"
#include "trireme/core/base/memory_limit.h"

namespace trireme::cluster {
namespace {

constexpr const char* kCounter = "oom_kill";

std::optional<std::int64_t> read_counter(const std::string& path) {
  const auto text = path.empty() ? std::nullopt : read_text_file(path);
  return text ? counter_in(*text, kCounter) : std::nullopt;
}

std::string cgroup_counter_file() {
  const std::string folder = memory_cgroup_folder(read_text_file("/proc/self/cgroup").value_or(""));
  for (const char* name : {"/memory.events", "/memory.oom_control"}) {
    if (!folder.empty() && ::access((folder + name).c_str(), R_OK) == 0) {
      return folder + name;
    }
  }
  return {};
}

std::int64_t growth(std::optional<std::int64_t> before, std::optional<std::int64_t> now) {
  return before && now ? std::max<std::int64_t>(0, *now - *before) : -1;
}

}  // namespace

std::optional<std::int64_t> counter_in(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
      return error == std::errc{} ? std::optional(value) : std::nullopt;
    }
  }
  return std::nullopt;
}

bool names_killed_process(std::string_view line, pid_t pid) {
  // "Out of memory: Killed process 812 (train_gpt) ..." and "Memory cgroup out of memory: Killed process 812 (...".
  return line.find("ut of memory") != std::string_view::npos &&
         line.find(fmt::format("Killed process {} ", pid)) != std::string_view::npos;
}

MemoryPressureWatch::MemoryPressureWatch()
    : kernel_log_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)),
      cgroup_file_(cgroup_counter_file()),
      cgroup_before_(read_counter(cgroup_file_)),
      machine_before_(read_counter("/proc/vmstat")) {
  if (kernel_log_ >= 0) {
    ::lseek(kernel_log_, 0, SEEK_END);
  }
}

MemoryPressureWatch::~MemoryPressureWatch() {
  if (kernel_log_ >= 0) {
    ::close(kernel_log_);
  }
}

OutOfMemoryEvidence MemoryPressureWatch::evidence(pid_t pid) {
  char record[8192];  // one read gives one record
  ssize_t got = 0;
  for (int records = 0; records < 10'000 && kernel_log_ >= 0; ++records) {
    got = ::read(kernel_log_, record, sizeof record);
    if (got < 0 && errno == EPIPE) {
      continue;  // the log has overrun us; the next read goes on at its oldest record
    }
    if (got <= 0) {
      break;
    }
    const std::string_view line(record, static_cast<std::size_t>(got));
    if (line.find("Killed process ") != std::string_view::npos) {
      kills_.append(line).append("\n");
    }
  }
  return {.named_in_kernel_log = names_killed_process(kills_, pid),
          .cgroup_kills = growth(cgroup_before_, read_counter(cgroup_file_)),
          .machine_kills = growth(machine_before_, read_counter("/proc/vmstat"))};
}

}  // namespace trireme::cluster
