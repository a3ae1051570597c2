// Small files of /proc and /sys, read whole.
#pragma once

#include <optional>
#include <string>

namespace trireme::cluster {

// The file's content, at most 1 MiB of it; nothing if it cannot be read. Never raises.
std::optional<std::string> read_text_file(const std::string& path);

}  // namespace trireme::cluster
