// The whole loader: shards whose bytes are anything under a manifest whose checksums are right, manifests that are
// anything over a good shard, and models that an index of any text leads to. Either an Error, or values that lie inside
// the files; never a path outside the directory.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/safetensors.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/log.h"

using namespace trireme;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using Bytes = std::vector<std::byte>;
constexpr std::string_view kDirectory = "/c/";

class MemoryFile final : public File {
 public:
  MemoryFile(const std::string& path, const Bytes& bytes) : File(path), bytes_(bytes) {}

 protected:
  std::int64_t do_write(std::uint64_t, std::span<const std::byte>) override { return -EROFS; }
  std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) override {
    const std::uint64_t end = std::min<std::uint64_t>(bytes_.size(), offset + out.size());
    if (offset >= end) {
      return 0;
    }
    std::memcpy(out.data(), bytes_.data() + offset, end - offset);
    return static_cast<std::int64_t>(end - offset);
  }
  std::int64_t do_size() override { return static_cast<std::int64_t>(bytes_.size()); }
  int do_resize(std::uint64_t) override { return EROFS; }
  int do_reserve(std::uint64_t) override { return EROFS; }
  int do_sync() override { return EROFS; }

 private:
  const Bytes& bytes_;
};

// Some files of one directory, read-only. Who asks for another path ends the fuzzer.
class MemoryFiles final : public FileSystem {
 public:
  std::map<std::string, Bytes> files;

 protected:
  Result<std::unique_ptr<File>> do_open(const std::string& path, OpenMode) override {
    const std::string_view name = inside(path);
    const auto found = files.find(std::string(name));
    return found == files.end() ? Result<std::unique_ptr<File>>{ENOENT, nullptr}
                                : Result<std::unique_ptr<File>>{0, std::make_unique<MemoryFile>(path, found->second)};
  }
  Result<FileStatus> do_status(const std::string& path) override {
    const auto found = files.find(std::string(inside(path)));
    return found == files.end() ? Result<FileStatus>{ENOENT, {}} : Result<FileStatus>{0, {false, found->second.size()}};
  }
  Result<std::vector<std::string>> do_list(const std::string&) override { return {ENOENT, {}}; }
  int do_rename(const std::string&, const std::string&) override { return EROFS; }
  int do_remove_file(const std::string&) override { return EROFS; }
  int do_remove_directory(const std::string&) override { return EROFS; }
  int do_make_directory(const std::string&) override { return EROFS; }
  int do_sync_directory(const std::string&) override { return EROFS; }
  Result<std::unique_ptr<FileLock>> do_try_lock(const std::string&, std::string_view) override {
    return {EROFS, nullptr};
  }

 private:
  static std::string_view inside(const std::string& path) {
    const std::string_view name = std::string_view(path).substr(std::min(path.size(), kDirectory.size()));
    if (!path.starts_with(kDirectory) || name.find('/') != std::string_view::npos) {
      std::abort();
    }
    return name;
  }
};

Bytes part(const std::uint8_t* data, std::size_t begin, std::size_t end) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  return {bytes + begin, bytes + end};
}

// A good shard of one tensor, f32 [3, 2].
Bytes good_shard() {
  const std::vector<checkpoint::TensorToWrite> tensors = {{"model.w", DType::f32, {3, 2}}};
  const auto plan = checkpoint::plan_safetensors(
      tensors, {{"DCP_SHARDING_INFO", R"({"model.w":{"saved_offsets":[0,0]}})"}, {"format", "pt"}}, 8);
  Bytes bytes(plan.file_bytes);
  std::memcpy(bytes.data(), plan.header.data(), plan.header.size());
  return bytes;
}

void load_everything(FileSystem& files) {
  constexpr std::int64_t kElementsMax = 1 << 16;
  auto reader = checkpoint::Reader::open(files, "/c", checkpoint::Verify::when_loaded);
  std::vector<sharding::StateTensor> wanted;
  for (const checkpoint::SavedTensor& tensor : reader.tensors()) {
    std::int64_t elements = 1;
    for (const std::int64_t size : tensor.shape) {
      elements = size > kElementsMax ? kElementsMax + 1 : std::min(elements * size, kElementsMax + 1);
    }
    if (tensor.shape.size() > static_cast<std::size_t>(kMaxDims) || elements > kElementsMax) {
      continue;
    }
    Shape shape;
    for (const std::int64_t size : tensor.shape) {
      shape.push_back(size);
    }
    for (const DType dtype : {DType::f32, DType::bf16, DType::i64, DType::u8}) {
      if (checkpoint::safetensors_dtype(dtype) == tensor.dtype_name) {
        wanted.push_back({tensor.name, shape, 0, Array::zeros(shape, dtype)});
      }
    }
  }
  reader.load(wanted);
}

// Shards of anything, with the manifest that belongs to them.
void feed_shards(std::vector<Bytes> shards) {
  MemoryFiles files;
  checkpoint::Manifest manifest;
  manifest.world_size = static_cast<int>(shards.size());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    checkpoint::FileRecord record{checkpoint::shard_name(static_cast<int>(i)), shards[i].size()};
    if (!shards[i].empty()) {
      record.block_hashes = {xxh3(shards[i])};
    }
    files.files[record.name] = std::move(shards[i]);
    manifest.files.push_back(std::move(record));
  }
  files.files[std::string(checkpoint::kManifestName)] = checkpoint::encode_manifest(manifest);
  load_everything(files);
}

// A manifest of anything, in a whole frame.
void feed_manifest(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kWord = 8;
  MemoryFiles files;
  files.files[checkpoint::shard_name(0)] = good_shard();
  Bytes framed = checkpoint::encode_manifest({});
  framed.resize(3 * kWord + size);
  const std::uint64_t length = size;
  const std::uint64_t hash = xxh3({reinterpret_cast<const std::byte*>(data), size});
  std::memcpy(framed.data() + kWord, &length, kWord);
  std::memcpy(framed.data() + 2 * kWord, &hash, kWord);
  std::memcpy(framed.data() + 3 * kWord, data, size);
  files.files[std::string(checkpoint::kManifestName)] = std::move(framed);
  load_everything(files);
}

// A model that an index leads to, one file being anything.
void feed_model(const std::uint8_t* data, std::size_t cut, std::size_t size) {
  MemoryFiles files;
  files.files["model.safetensors.index.json"] = part(data, 0, cut);
  files.files["a.safetensors"] = part(data, cut, size);
  files.files["b.safetensors"] = good_shard();
  const Array values = Array::zeros({2, 2});
  const std::vector<sharding::StateTensor> wanted = {{"model.w", {3, 2}, 1, values}};
  checkpoint::load_model(files, "/c/model.safetensors.index.json", wanted);
}

void feed(const std::uint8_t* data, std::size_t size) {
  const std::size_t cut = std::min<std::size_t>(size, data[1] * std::size_t{8});
  const std::size_t begin = std::min<std::size_t>(size, 2);
  switch (data[0] % 4) {
    case 0:
      return feed_shards({part(data, begin, size)});
    case 1:
      return feed_shards({part(data, begin, std::max(begin, cut)), part(data, std::max(begin, cut), size)});
    case 2:
      return feed_manifest(data + begin, size - begin);
    default:
      return feed_model(data + begin, std::max(begin, cut) - begin, size - begin);
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  log::set_level(log::Level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 2) {
    try {
      feed(data, size);
    } catch (const Error&) {
    }
  }
  return 0;
}

// Begins with good inputs: chance alone would not find a whole header.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const Bytes shard = good_shard();
  const std::string index = R"({"weight_map":{"model.w":"b.safetensors"}})";
  const std::size_t index_end = (2 + index.size() + 7) / 8;
  if (size < 16 && max_size >= 2 + 8 * index_end + shard.size()) {
    data[0] = static_cast<std::uint8_t>(seed % 4);
    data[1] = static_cast<std::uint8_t>(index_end);
    size = 2;
    if (seed % 4 == 3) {
      std::memset(data + 2, ' ', 8 * index_end - 2);
      std::memcpy(data + 2, index.data(), index.size());
      size = 8 * index_end;
    }
    if (seed % 4 == 2) {
      checkpoint::Manifest manifest;
      manifest.files = {{checkpoint::shard_name(0), shard.size(), checkpoint::kBlockBytes, {xxh3(shard)}}};
      const Bytes framed = checkpoint::encode_manifest(manifest);
      std::memcpy(data + 2, framed.data() + 24, framed.size() - 24);
      return 2 + framed.size() - 24;
    }
    std::memcpy(data + size, shard.data(), shard.size());
    size += shard.size();
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
