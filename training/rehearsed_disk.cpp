#include "trireme/training/rehearsed_disk.h"

#include <cerrno>

namespace trireme::training {
namespace {

class RehearsedFile final : public File {
 public:
  RehearsedFile(std::unique_ptr<File> file, const std::atomic<bool>& full)
      : File(file->path()), file_(std::move(file)), full_(full) {}

 protected:
  std::int64_t do_write(std::uint64_t offset, std::span<const std::byte> data) override {
    if (full_) {
      return -ENOSPC;
    }
    file_->write(offset, data);
    return static_cast<std::int64_t>(data.size());
  }
  std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) override {
    return static_cast<std::int64_t>(file_->read(offset, out));
  }
  std::int64_t do_size() override { return static_cast<std::int64_t>(file_->size()); }
  int do_resize(std::uint64_t bytes) override {
    file_->resize(bytes);
    return 0;
  }
  int do_reserve(std::uint64_t bytes) override {
    if (full_) {
      return ENOSPC;
    }
    file_->reserve(bytes);
    return 0;
  }
  int do_sync() override {
    file_->sync();
    return 0;
  }
  std::int64_t do_read_cached(std::uint64_t offset, std::span<std::byte> out) override {
    return static_cast<std::int64_t>(file_->read_cached(offset, out));
  }
  int do_set_direct(bool on) override { return file_->set_direct(on) == on ? 0 : -1; }
  std::optional<Space> do_space() override {
    std::optional<Space> space = file_->space();
    if (space && full_) {
      space->available_bytes = 0;
    }
    return space;
  }

 private:
  std::unique_ptr<File> file_;
  const std::atomic<bool>& full_;
};

}  // namespace

FileSystem::Result<std::unique_ptr<File>> RehearsedDisk::do_open(const std::string& path, OpenMode mode) {
  Result<std::unique_ptr<File>> file = PosixFileSystem::do_open(path, mode);
  if (rehearsing_ && file.error == 0) {
    file.value = std::make_unique<RehearsedFile>(std::move(file.value), full_);
  }
  return file;
}

}  // namespace trireme::training
