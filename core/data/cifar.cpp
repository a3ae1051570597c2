#include "trireme/core/data/cifar.h"

#include <cstring>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/data/file_bytes.h"

namespace trireme::data {
namespace {

constexpr std::size_t kPixels = 3 * 32 * 32;
constexpr std::size_t kRecord = 1 + kPixels;

void append_records(const std::filesystem::path& path, std::vector<std::uint8_t>& out) {
  const std::size_t before = out.size();
  append_file(path, out);
  const std::size_t bytes = out.size() - before;
  require(bytes > 0 && bytes % kRecord == 0, "CIFAR file {}: expected a multiple of {} bytes (its records), found {}",
          path.string(), kRecord, bytes);
  for (std::size_t at = before; at < out.size(); at += kRecord) {
    require(out[at] < 10, "CIFAR file {}: record {} has the label {}, 0 to 9 expected", path.string(),
            (at - before) / kRecord, out[at]);
  }
}

}  // namespace

Cifar10::Records Cifar10::read(const std::vector<std::filesystem::path>& files) {
  require(!files.empty(), "data::Cifar10: no file given");
  std::vector<std::uint8_t> bytes;
  for (const std::filesystem::path& path : files) {
    append_records(path, bytes);
  }
  const std::size_t count = bytes.size() / kRecord;
  const auto images = static_cast<std::int64_t>(count);
  Records records{Array::empty({images, 3, 32, 32}, DType::u8), Array::empty({images}, DType::u8)};
  for (std::size_t i = 0; i < count; ++i) {
    records.labels.data<std::uint8_t>()[i] = bytes[i * kRecord];
    std::memcpy(records.pixels.data<std::uint8_t>() + i * kPixels, bytes.data() + i * kRecord + 1, kPixels);
  }
  return records;
}

Cifar10::Cifar10(const std::vector<std::filesystem::path>& files) : Cifar10(read(files)) {}

Cifar10 Cifar10::train(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i <= 5; ++i) {
    files.push_back(directory / ("data_batch_" + std::to_string(i) + ".bin"));
  }
  return Cifar10(files);
}

Cifar10 Cifar10::test(const std::filesystem::path& directory) {
  return Cifar10(std::vector<std::filesystem::path>{directory / "test_batch.bin"});
}

}  // namespace trireme::data
