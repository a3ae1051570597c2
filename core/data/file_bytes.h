// Reading data files, with errors that name the file and what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace trireme::data {

// The size in bytes of a regular file. Raises Error if it is absent, a directory or not readable.
std::int64_t size_of_file(const std::filesystem::path& path);
// Appends the whole file to `out`. Raises Error likewise, or if it ends early.
void append_file(const std::filesystem::path& path, std::vector<std::uint8_t>& out);
std::vector<std::uint8_t> read_file(const std::filesystem::path& path);
// The files of a directory and those below it, in the order of their paths; of anything else the path itself. Raises
// Error for a directory that cannot be read or has none.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& path);

}  // namespace trireme::data
