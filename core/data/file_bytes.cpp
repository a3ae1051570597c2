#include "trireme/core/data/file_bytes.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "trireme/core/base/error.h"

namespace trireme::data {

std::int64_t size_of_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  require(std::filesystem::exists(status), "data file {}: it does not exist; check the path", path.string());
  require(std::filesystem::is_regular_file(status), "data file {}: it is not a regular file", path.string());
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  require(!error, "data file {}: its size cannot be read: {}", path.string(), error.message());
  return static_cast<std::int64_t>(bytes);
}

void append_file(const std::filesystem::path& path, std::vector<std::uint8_t>& out) {
  const std::int64_t bytes = size_of_file(path);
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), "data file {}: it cannot be opened{}", path.string(), errno_text(errno));
  const std::size_t before = out.size();
  out.resize(before + static_cast<std::size_t>(bytes));
  file.read(reinterpret_cast<char*>(out.data() + before), bytes);
  require(file.gcount() == bytes, "data file {}: expected {} bytes, found {}; it changed while it was read",
          path.string(), bytes, file.gcount());
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::vector<std::uint8_t> bytes;
  append_file(path, bytes);
  return bytes;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return {path};
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path());
    }
  }
  require(!error, "data directory {}: it cannot be read: {}", path.string(), error.message());
  require(!files.empty(), "data directory {}: it has no files", path.string());
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return files;
}

}  // namespace trireme::data
