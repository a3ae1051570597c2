#include "trireme/core/data/text.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/data/file_bytes.h"

namespace trireme::data {
namespace {

std::vector<std::uint8_t> read_paths(const std::vector<std::filesystem::path>& paths, std::int64_t context) {
  require(!paths.empty(), "data::ByteText: no path given");
  std::vector<std::uint8_t> text;
  for (const std::filesystem::path& path : paths) {
    for (const std::filesystem::path& file : files_of(path)) {
      append_file(file, text);
    }
  }
  require(
      static_cast<std::int64_t>(text.size()) > context,
      "data::ByteText: {}{}: {} bytes of text, at least {} expected (a context of {} and its last target); give more "
      "text or a shorter context",
      paths[0].string(), paths.size() > 1 ? " and the others" : "", text.size(), context + 1, context);
  return text;
}

}  // namespace

ByteText::ByteText(const std::vector<std::filesystem::path>& paths, std::int64_t context)
    : ByteText(read_paths(paths, context), context) {}

ByteText::ByteText(std::vector<std::uint8_t> text, std::int64_t context) : text_(std::move(text)), context_(context) {
  require_usage(context > 0, "data::ByteText: a context of {} given, a positive number expected", context);
  require(bytes() > context,
          "data::ByteText: {} bytes of text given, at least {} expected (a context of {} and its last "
          "target); give more text or a shorter context",
          bytes(), context + 1, context);
  windows_ = (bytes() - 1) / context;
}

void ByteText::fetch(std::span<const std::int64_t> items, Batch& batch) const {
  batch.items = static_cast<std::int64_t>(items.size());
  make_room(batch.inputs, {batch.items, context_}, DType::u8);
  make_room(batch.labels, {batch.items, context_}, DType::u8);
  const auto length = static_cast<std::size_t>(context_);
  std::uint8_t* inputs = batch.inputs.data<std::uint8_t>();
  std::uint8_t* labels = batch.labels.data<std::uint8_t>();
  for (const std::int64_t item : items) {
    const std::uint8_t* window = text_.data() + item * context_;
    std::memcpy(inputs, window, length);
    std::memcpy(labels, window + 1, length);
    inputs += length;
    labels += length;
  }
}

ByteText ByteText::cpp_headers(std::int64_t context) {
  return ByteText(std::vector<std::filesystem::path>{cpp_header_directory()}, context);
}

std::filesystem::path cpp_header_directory() {
  std::filesystem::path newest;
  int newest_version = -1;
  for (const char* root : {"/usr/include/c++", "/usr/local/include/c++"}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
      const int version = std::atoi(entry.path().filename().c_str());
      if (version == __GNUC__) {
        return entry.path();
      }
      if (version > newest_version && entry.is_directory()) {
        newest = entry.path();
        newest_version = version;
      }
    }
  }
  require(newest_version >= 0,
          "data::ByteText: no C++ headers below /usr/include/c++ or /usr/local/include/c++; name text files (--data)");
  return newest;
}

}  // namespace trireme::data
