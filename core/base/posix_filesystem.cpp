// FileSystem over the system calls of POSIX (and Linux' fallocate).
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "trireme/core/base/fd.h"
#include "trireme/core/base/filesystem.h"

namespace trireme {
namespace {

// Linux moves at most 2 GiB in one call; pieces of 1 GiB keep well clear of it.
constexpr std::size_t kBytesPerCallMax = std::size_t{1} << 30;

int error_of(int result) { return result < 0 ? errno : 0; }

// Where the file system is mounted: going up from the path, the last directory on the same device.
std::string mount_point_of(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> whole(::realpath(path.c_str(), nullptr), &std::free);
  std::string at = whole ? whole.get() : path;
  struct stat here {};
  if (::stat(at.c_str(), &here) < 0) {
    return at;
  }
  while (at != "/") {
    const std::string above = parent_path(at);
    struct stat status {};
    if (above == at || ::stat(above.c_str(), &status) < 0 || status.st_dev != here.st_dev) {
      break;
    }
    at = above;
  }
  return at;
}

std::optional<Space> space_at(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) < 0) {
    return std::nullopt;
  }
  return Space{mount_point_of(path), std::uint64_t{status.f_bavail} * status.f_frsize, 0};
}

class PosixFile final : public File {
 public:
  PosixFile(const std::string& path, Fd descriptor) : File(path), descriptor_(std::move(descriptor)) {}

 protected:
  std::int64_t do_write(std::uint64_t offset, std::span<const std::byte> data) override {
    const ssize_t n =
        ::pwrite(descriptor_.get(), data.data(), std::min(data.size(), kBytesPerCallMax), static_cast<off_t>(offset));
    return n < 0 ? -errno : n;
  }
  std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) override {
    const ssize_t n =
        ::pread(descriptor_.get(), out.data(), std::min(out.size(), kBytesPerCallMax), static_cast<off_t>(offset));
    return n < 0 ? -errno : n;
  }
  std::int64_t do_size() override {
    struct stat status {};
    return ::fstat(descriptor_.get(), &status) < 0 ? -errno : status.st_size;
  }
  int do_resize(std::uint64_t bytes) override {
    return error_of(::ftruncate(descriptor_.get(), static_cast<off_t>(bytes)));
  }
  int do_reserve(std::uint64_t bytes) override {
    return bytes == 0 ? 0 : error_of(::fallocate(descriptor_.get(), 0, 0, static_cast<off_t>(bytes)));
  }
  int do_sync() override { return error_of(::fsync(descriptor_.get())); }
  std::int64_t do_read_cached(std::uint64_t offset, std::span<std::byte> out) override {
    const iovec piece{out.data(), std::min(out.size(), kBytesPerCallMax)};
    const ssize_t n = ::preadv2(descriptor_.get(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    return n < 0 ? -errno : n;
  }
  int do_set_direct(bool on) override {
    const int flags = ::fcntl(descriptor_.get(), F_GETFL);
    return flags < 0 ? errno : error_of(::fcntl(descriptor_.get(), F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT));
  }
  std::optional<Space> do_space() override {
    std::optional<Space> space = space_at(path());
    struct stat status {};
    if (space && ::fstat(descriptor_.get(), &status) == 0) {
      space->allocated_bytes = static_cast<std::uint64_t>(status.st_blocks) * 512;  // whatever the block size
    }
    return space;
  }

 private:
  Fd descriptor_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Fd descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Fd descriptor_;  // closing it releases the lock
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::update:
      return O_RDWR;
    case OpenMode::create:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

}  // namespace

// O_NONBLOCK: a named pipe that somebody has put in a file's place must not stop the program for ever.
FileSystem::Result<std::unique_ptr<File>> PosixFileSystem::do_open(const std::string& path, OpenMode mode) {
  Fd descriptor(::open(path.c_str(), flags_of(mode) | O_CLOEXEC | O_NONBLOCK, kFileMode));
  if (descriptor.get() < 0) {
    return {errno, nullptr};
  }
  struct stat status {};
  if (::fstat(descriptor.get(), &status) < 0) {
    return {errno, nullptr};
  }
  if (S_ISDIR(status.st_mode)) {  // reading one would only fail later, and less clearly
    return {EISDIR, nullptr};
  }
  if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) {  // has no bytes at an offset
    return {ESPIPE, nullptr};
  }
  return {0, std::make_unique<PosixFile>(path, std::move(descriptor))};
}

int PosixFileSystem::do_rename(const std::string& from, const std::string& to) {
  return error_of(::rename(from.c_str(), to.c_str()));
}

int PosixFileSystem::do_remove_file(const std::string& path) { return error_of(::unlink(path.c_str())); }

int PosixFileSystem::do_remove_directory(const std::string& path) { return error_of(::rmdir(path.c_str())); }

int PosixFileSystem::do_make_directory(const std::string& path) {
  return error_of(::mkdir(path.c_str(), kDirectoryMode));
}

FileSystem::Result<std::vector<std::string>> PosixFileSystem::do_list(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) {
    return {errno, {}};
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
    errno = 0;
  }
  return {errno, std::move(names)};
}

FileSystem::Result<FileStatus> PosixFileSystem::do_status(const std::string& path) {
  struct stat status {};
  struct stat name {};
  if (::stat(path.c_str(), &status) < 0 || ::lstat(path.c_str(), &name) < 0) {
    return {errno, {}};
  }
  return {0,
          {S_ISDIR(status.st_mode), static_cast<std::uint64_t>(status.st_size),
           S_ISREG(name.st_mode) && name.st_nlink == 1}};
}

int PosixFileSystem::do_sync_directory(const std::string& path) {
  const Fd descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return descriptor.get() < 0 ? errno : error_of(::fsync(descriptor.get()));
}

// Of a path that is not there yet, its directory's.
std::optional<Space> PosixFileSystem::do_space(const std::string& path) {
  const std::optional<Space> space = space_at(path);
  return space ? space : space_at(parent_path(path));
}

FileSystem::Result<std::unique_ptr<FileLock>> PosixFileSystem::do_try_lock(const std::string& path,
                                                                           std::string_view owner) {
  Fd descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (descriptor.get() < 0 || ::flock(descriptor.get(), LOCK_EX | LOCK_NB) < 0) {
    return {errno, nullptr};
  }
  // The owner's name only helps people; a disk too full to hold it does not void the lock.
  if (::ftruncate(descriptor.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(descriptor.get(), owner.data(), owner.size(), 0);
  }
  return {0, std::make_unique<PosixLock>(std::move(descriptor))};
}

}  // namespace trireme
