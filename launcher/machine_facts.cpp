// Looks at the machine for `trireme doctor`; the judgement is doctor.cpp's.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "trireme/cluster/memory_pressure.h"
#include "trireme/cluster/text_file.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/doctor.h"
#include "trireme/launcher/machine.h"

namespace trireme::launcher {
namespace {

// The rest of the first line that starts with `key`, behind its ':'.
std::string field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string_view::npos) {
      const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
      return std::string(begin == std::string_view::npos ? std::string_view{} : line.substr(begin));
    }
  }
  return {};
}

std::int64_t leading_number(std::string_view text, std::int64_t otherwise) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? value : otherwise;
}

std::int64_t cgroup_limit() {
  const std::string folder = cluster::memory_cgroup_folder(cluster::read_text_file("/proc/self/cgroup").value_or(""));
  constexpr std::int64_t kNoLimitBefore = std::int64_t{1} << 60;  // version 1 writes "no limit" as nearly 2^63
  for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
    if (const auto text = folder.empty() ? std::nullopt : cluster::read_text_file(folder + name)) {
      const std::int64_t limit = leading_number(*text, -1);  // version 2 writes "max"
      return limit >= kNoLimitBefore ? -1 : limit;
    }
  }
  return -1;
}

std::int64_t soft_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  const bool unlimited = ::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY;
  return unlimited ? -1 : static_cast<std::int64_t>(limit.rlim_cur);
}

std::vector<std::string> vector_instruction_sets(std::string_view flags) {
  std::vector<std::string> found;
  while (!flags.empty()) {
    const std::string_view word = flags.substr(0, flags.find(' '));
    flags.remove_prefix(std::min(flags.size(), word.size() + 1));
    if (word.starts_with("avx") || word.starts_with("amx") || word == "fma" || word == "f16c" || word == "sse4_2") {
      found.emplace_back(word);
    }
  }
  return found;
}

bool can_bind_loopback() {
  try {
    return free_loopback_port() > 0;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

MachineFacts look_at_machine() {
  MachineFacts facts;
  const std::string cpu = cluster::read_text_file("/proc/cpuinfo").value_or("");
  facts.processor = field(cpu, "model name");
  facts.instruction_sets = vector_instruction_sets(field(cpu, "flags"));
  facts.cores_online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  facts.cores_usable = usable_cores();
  const std::string memory = cluster::read_text_file("/proc/meminfo").value_or("");
  facts.memory_bytes = leading_number(field(memory, "MemTotal"), 0) * 1024;
  facts.memory_available_bytes = leading_number(field(memory, "MemAvailable"), 0) * 1024;
  facts.cgroup_limit_bytes = cgroup_limit();
  struct statvfs shm {};
  if (::statvfs("/dev/shm", &shm) == 0 && ::access("/dev/shm", W_OK) == 0) {
    facts.shm_bytes = static_cast<std::int64_t>(shm.f_blocks * shm.f_frsize);
    facts.shm_free_bytes = static_cast<std::int64_t>(shm.f_bavail * shm.f_frsize);
  }
  facts.locked_memory_limit = soft_limit(RLIMIT_MEMLOCK);
  facts.open_files_limit = soft_limit(RLIMIT_NOFILE);
  facts.loopback_port = can_bind_loopback();
  return facts;
}

}  // namespace trireme::launcher
