#include "trireme/core/base/memory_limit.h"

#include <charconv>
#include <fstream>
#include <iterator>

#include "trireme/core/base/physical_memory.h"

namespace trireme {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// 0: none. Version 2 writes "max", version 1 nearly 2^63.
std::int64_t limit_in(const std::string& text) {
  constexpr std::int64_t kNoLimitBefore = std::int64_t{1} << 60;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && value < kNoLimitBefore ? value : 0;
}

}  // namespace

std::string memory_cgroup_folder(std::string_view text) {
  std::string unified;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1) == "/" ? std::string_view{} : line.substr(second + 1));
    if (controllers == "memory") {
      return "/sys/fs/cgroup/memory" + path;  // version 1, or a hybrid, where version 2 counts no memory
    }
    if (controllers.empty()) {
      unified = "/sys/fs/cgroup" + path;
    }
  }
  return unified;
}

MemoryLimit cgroup_limit(const std::string& folder, const std::string& mount) {
  MemoryLimit least;
  for (std::string at = folder; at.size() >= mount.size() && at.starts_with(mount); at.erase(at.rfind('/'))) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      const std::int64_t bytes = limit_in(text_of(at + name));
      if (bytes > 0 && (least.bytes == 0 || bytes < least.bytes)) {
        least = {bytes, at};
      }
    }
  }
  return least;
}

MemoryLimit memory_limit() {
  const MemoryLimit machine{physical_memory(), {}};
  const MemoryLimit cgroup = cgroup_limit(memory_cgroup_folder(text_of("/proc/self/cgroup")));
  return cgroup.bytes > 0 && (machine.bytes == 0 || cgroup.bytes < machine.bytes) ? cgroup : machine;
}

}  // namespace trireme
