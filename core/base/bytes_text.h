// Numbers of bytes for people.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

// "512 B", "1.5 GiB"; "none" for a negative number.
std::string bytes_text(std::int64_t bytes);

}  // namespace trireme
