#include "trireme/core/data/idx.h"

#include <algorithm>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/data/file_bytes.h"

namespace trireme::data {
namespace {

std::uint32_t big_endian(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

// The file's bytes as u8 [size 0, size 1, ...] with `dims` dims.
Array read_idx(const std::filesystem::path& path, std::uint32_t dims) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const std::size_t header = 4 + 4 * dims;
  const std::string name = path.string();
  require(bytes.size() < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b,
          "IDX file {}: it is compressed by gzip; unpack it first (gunzip)", name);
  const std::uint32_t magic = bytes.size() < 4 ? 0 : big_endian(bytes, 0);
  require(bytes.size() < 4 || magic == (0x0800u | dims),
          "IDX file {}: expected the magic number {:#010x} (bytes in {} dims), found {:#010x}", name, 0x0800u | dims,
          dims, magic);
  require(bytes.size() >= header, "IDX file {}: expected at least {} bytes (its header), found {}", name, header,
          bytes.size());
  Shape shape;
  std::string sizes;
  std::uint64_t count = 1;
  for (std::uint32_t i = 0; i < dims; ++i) {
    const std::uint32_t size = big_endian(bytes, 4 + 4 * i);
    shape.push_back(size);
    sizes += fmt::format("{}{}", i == 0 ? "" : "*", size);
    count = std::min<std::uint64_t>(count * size, std::uint64_t{1} << 40);  // no overflow; no file is that large
  }
  require(bytes.size() == header + count,
          "IDX file {}: expected {}+{} bytes, found {}; it is torn, or longer than it says", name, sizes, header,
          bytes.size());
  require(count > 0, "IDX file {}: it holds nothing (sizes {})", name, sizes);
  return Array::from(std::span<const std::uint8_t>(bytes).subspan(header), shape);
}

Array read_images(const std::filesystem::path& path) {
  const Array images = read_idx(path, 3);
  return images.reshape({images.size(0), 1, images.size(1), images.size(2)});
}

Array read_labels(const std::filesystem::path& path, const std::filesystem::path& images_path, std::int64_t images) {
  const Array labels = read_idx(path, 1);
  require(labels.count() == images, "IDX files {} and {}: {} images and {} labels found, equal numbers expected",
          images_path.string(), path.string(), images, labels.count());
  return labels;
}

std::filesystem::path find(const std::filesystem::path& directory, const std::string& part, const std::string& kind) {
  const std::filesystem::path dash = directory / (part + "-" + kind);
  const std::filesystem::path dot = directory / (part + "." + kind);
  std::error_code error;
  require(std::filesystem::exists(dash, error) || std::filesystem::exists(dot, error),
          "directory {}: expected a file {} in it (MNIST's names), found none", directory.string(),
          dash.filename().string());
  return std::filesystem::exists(dash, error) ? dash : dot;
}

Idx open(const std::filesystem::path& directory, const std::string& part, bool flatten) {
  const std::filesystem::path images = find(directory, part + "-images", "idx3-ubyte");
  return Idx(images, find(directory, part + "-labels", "idx1-ubyte"), flatten);
}

}  // namespace

Idx::Idx(const std::filesystem::path& images, const std::filesystem::path& labels, bool flatten)
    : Idx(read_images(images), images, labels, flatten) {}

Idx::Idx(const Array& pixels, const std::filesystem::path& images, const std::filesystem::path& labels, bool flatten)
    : Images(pixels, read_labels(labels, images, pixels.size(0)), flatten) {}

Idx Idx::train(const std::filesystem::path& directory, bool flatten) { return open(directory, "train", flatten); }
Idx Idx::test(const std::filesystem::path& directory, bool flatten) { return open(directory, "t10k", flatten); }

}  // namespace trireme::data
