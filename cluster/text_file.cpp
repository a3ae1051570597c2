#include "trireme/cluster/text_file.h"

#include <fcntl.h>
#include <unistd.h>

namespace trireme::cluster {

std::optional<std::string> read_text_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = 1 << 20;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return std::nullopt;
  }
  std::string text;
  char buffer[4096];
  ssize_t got = 0;
  while (text.size() < kMaxBytes && (got = ::read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return got < 0 ? std::nullopt : std::optional(std::move(text));
}

}  // namespace trireme::cluster
