#include "trireme/core/base/filesystem.h"

#include <algorithm>
#include <cerrno>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

std::string_view advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free space on that file system, or choose a directory on another one";
    case EACCES:
    case EPERM:
      return "check the owner and the permissions of the path";
    case EROFS:
      return "the file system is mounted read-only; choose another directory";
    case ENOENT:
      return "check that the path exists and is spelled right";
    case ENOTDIR:
      return "a part of the path is a file; choose another directory";
    case EISDIR:
      return "the path is a directory; give a file";
    case ESPIPE:
      return "the path is a pipe or a socket; give a file";
    case ENOTEMPTY:
      return "it holds files that are not Trireme's; move them away";
    case EINTR:
      return "signals came faster than the system could answer; see who sends them";
    case EMFILE:
    case ENFILE:
      return "too many open files; raise the limit (ulimit -n)";
    case EIO:
      return "the disk or the network file system failed; look at the system's log (dmesg)";
    default:
      return "see the system's reason";
  }
}

// A call that so many signals in a row interrupt will not come to an end.
constexpr int kInterruptionsMax = 10'000;

// One system call, repeated while a signal interrupts it. `call` returns bytes or -errno.
template <class Call>
std::int64_t uninterrupted(Call&& call) {
  std::int64_t result = call();
  for (int i = 0; result == -EINTR && i < kInterruptionsMax; ++i) {
    result = call();
  }
  return result;
}

bool is_full(int error_number) { return error_number == ENOSPC || error_number == EDQUOT; }

[[noreturn]] void fail_full(std::string_view operation, const std::string& path, int error_number, const Space& space,
                            std::uint64_t wanted_bytes) {
  fail("{} {} failed{}: {}; {}", operation, path, errno_text(error_number), space_text(space, wanted_bytes),
       advice(error_number));
}

// As uninterrupted, for calls that return an error number. A sync that was interrupted has not failed.
template <class Call>
int repeat_interrupted(Call&& call) {
  return static_cast<int>(-uninterrupted([&]() -> std::int64_t { return -call(); }));
}

// As uninterrupted, for calls that return a Result.
template <class Call>
auto repeat_result(Call&& call) {
  auto result = call();
  for (int i = 0; result.error == EINTR && i < kInterruptionsMax; ++i) {
    result = call();
  }
  return result;
}

}  // namespace

void fail_file(std::string_view operation, const std::string& path, int error_number) {
  fail("{} {} failed{}; {}", operation, path, errno_text(error_number), advice(error_number));
}

std::string space_text(const Space& space, std::uint64_t wanted_bytes) {
  const std::uint64_t there = space.available_bytes + space.allocated_bytes;
  std::string text = fmt::format("the file system at {} has {} bytes left", space.mount_point, space.available_bytes);
  return wanted_bytes > there ? text + fmt::format(", {} bytes are missing", wanted_bytes - there) : text;
}

void File::fail_write(std::string_view operation, int error_number, std::uint64_t wanted_bytes) {
  if (is_full(error_number)) {
    if (const std::optional<Space> space = do_space()) {
      fail_full(operation, path_, error_number, *space, wanted_bytes);
    }
  }
  fail_file(operation, path_, error_number);
}

void File::write(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::int64_t written = uninterrupted([&] { return do_write(offset, data); });
    if (written == -EINVAL && direct_) {
      set_direct(false);
      continue;
    }
    if (written <= 0) {  // 0 for a non-empty buffer would repeat for ever
      fail_write("write to", written == 0 ? EIO : static_cast<int>(-written), offset + data.size());
    }
    offset += static_cast<std::uint64_t>(written);
    data = data.subspan(static_cast<std::size_t>(written));
  }
}

std::size_t File::read(std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t got = uninterrupted([&] { return do_read(offset + done, out.subspan(done)); });
    if (got == 0 || (got == -EINVAL && direct_)) {
      break;
    }
    if (got < 0) {
      fail_file("read", path_, static_cast<int>(-got));
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::size_t File::read_cached(std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t got = uninterrupted([&] { return do_read_cached(offset + done, out.subspan(done)); });
    if (got <= 0) {  // an error is for read() to tell
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

bool File::set_direct(bool on) {
  direct_ = do_set_direct(on) == 0 && on;
  return direct_;
}

void File::read_exactly(std::uint64_t offset, std::span<std::byte> out) {
  const std::size_t got = read(offset, out);
  require(got == out.size(),
          "read {}: {} bytes wanted at byte {}, but the file ends after {} of them; it was cut short", path_,
          out.size(), offset, got);
}

std::uint64_t File::size() {
  const std::int64_t bytes = uninterrupted([&] { return do_size(); });
  if (bytes < 0) {
    fail_file("look at", path_, static_cast<int>(-bytes));
  }
  return static_cast<std::uint64_t>(bytes);
}

void File::resize(std::uint64_t bytes) {
  if (const int error = repeat_interrupted([&] { return do_resize(bytes); })) {
    fail_write("resize", error, bytes);
  }
}

void File::reserve(std::uint64_t bytes) {
  const int error = repeat_interrupted([&] { return do_reserve(bytes); });
  if (error != 0 && error != EOPNOTSUPP && error != ENOSYS) {
    fail_write("reserve " + std::to_string(bytes) + " bytes for", error, bytes);
  }
}

void File::sync() {
  if (const int error = repeat_interrupted([&] { return do_sync(); })) {
    fail_write("sync", error, 0);
  }
}

void FileSystem::check(int error_number, std::string_view operation, const std::string& path) {
  if (error_number == 0) [[likely]] {
    return;
  }
  if (is_full(error_number)) {
    if (const std::optional<Space> space = do_space(path)) {
      fail_full(operation, path, error_number, *space, 0);
    }
  }
  fail_file(operation, path, error_number);
}

std::unique_ptr<File> FileSystem::open(const std::string& path, OpenMode mode) {
  Result<std::unique_ptr<File>> result = repeat_result([&] { return do_open(path, mode); });
  check(result.error, mode == OpenMode::create ? "create" : "open", path);
  return std::move(result.value);
}

void FileSystem::rename(const std::string& from, const std::string& to) {
  check(repeat_interrupted([&] { return do_rename(from, to); }), "rename " + from + " to", to);
}

bool FileSystem::rename_if_exists(const std::string& from, const std::string& to) {
  const int error = repeat_interrupted([&] { return do_rename(from, to); });
  if (error == ENOENT) {
    return false;
  }
  check(error, "rename " + from + " to", to);
  return true;
}

void FileSystem::remove_file(const std::string& path) {
  check(repeat_interrupted([&] { return do_remove_file(path); }), "remove file", path);
}

void FileSystem::remove_directory(const std::string& path) {
  check(repeat_interrupted([&] { return do_remove_directory(path); }), "remove directory", path);
}

bool FileSystem::make_directory(const std::string& path) {
  const int error = repeat_interrupted([&] { return do_make_directory(path); });
  if (error == EEXIST) {
    const std::optional<FileStatus> there = status(path);
    require(!there || there->is_directory, "make directory {}: a file of that name is in the way; give another path",
            path);
    return false;
  }
  check(error, "make directory", path);
  return true;
}

std::vector<std::string> FileSystem::list(const std::string& path) {
  Result<std::vector<std::string>> result = repeat_result([&] { return do_list(path); });
  check(result.error, "list directory", path);
  std::sort(result.value.begin(), result.value.end());
  return std::move(result.value);
}

std::optional<FileStatus> FileSystem::status(const std::string& path) {
  const Result<FileStatus> result = repeat_result([&] { return do_status(path); });
  if (result.error == ENOENT || result.error == ENOTDIR) {
    return std::nullopt;
  }
  check(result.error, "look at", path);
  return result.value;
}

void FileSystem::sync_directory(const std::string& path) {
  check(repeat_interrupted([&] { return do_sync_directory(path); }), "sync directory", path);
}

std::unique_ptr<FileLock> FileSystem::try_lock(const std::string& path, std::string_view owner) {
  Result<std::unique_ptr<FileLock>> result = repeat_result([&] { return do_try_lock(path, owner); });
  if (result.error == EWOULDBLOCK) {
    return nullptr;
  }
  check(result.error, "lock", path);
  return std::move(result.value);
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') {
    path += '/';
  }
  return path.append(name);
}

std::string parent_path(const std::string& path) {
  std::size_t end = path.size();
  while (end > 1 && path[end - 1] == '/') {
    --end;
  }
  const std::size_t slash = path.rfind('/', end - 1);
  if (slash == std::string::npos || end == 0) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

void make_directories(FileSystem& files, const std::string& path) {
  const std::optional<FileStatus> there = files.status(path);
  if (there) {
    require(there->is_directory, "{} is a file, but a directory is needed; give another path", path);
    return;
  }
  const std::string parent = parent_path(path);
  make_directories(files, parent);
  files.make_directory(path);
  files.sync_directory(parent);
}

std::vector<std::byte> read_file(FileSystem& files, const std::string& path, std::uint64_t bytes_max) {
  const auto file = files.open(path, OpenMode::read);
  const std::uint64_t bytes = file->size();
  require(bytes <= bytes_max, "read {}: the file has {} bytes, at most {} expected; it is not what its name says", path,
          bytes, bytes_max);
  std::vector<std::byte> content(bytes);
  file->read_exactly(0, content);
  return content;
}

void write_file(FileSystem& files, const std::string& path, std::span<const std::byte> bytes) {
  const auto file = files.open(path, OpenMode::create);
  file->write(0, bytes);
  file->sync();
}

}  // namespace trireme
