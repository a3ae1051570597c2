#include "trireme/comm/store/file_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "trireme/core/base/error.h"
#include "trireme/core/base/fd.h"

namespace trireme::comm {
namespace {

Fd open_file(const std::filesystem::path& path, int flags) { return Fd(open(path.c_str(), flags | O_CLOEXEC, 0600)); }

[[noreturn]] void failed(std::string_view what, const std::filesystem::path& path) {
  const std::string reason = errno_text(errno);
  fail("store: cannot {} {}{}; the directory must be reachable by every rank", what, path.string(), reason);
}

}  // namespace

// Released by the kernel when its holder dies, so a killed rank blocks nobody.
class FileStore::Lock {
 public:
  explicit Lock(const std::filesystem::path& directory) : file_(open_file(directory / "lock", O_RDWR | O_CREAT)) {
    int result = 0;
    while (file_.get() >= 0 && (result = flock(file_.get(), LOCK_EX)) != 0 && errno == EINTR) {
    }
    if (file_.get() < 0 || result != 0) {
      failed("lock", directory / "lock");
    }
  }

 private:
  Fd file_;
};

FileStore::FileStore(std::filesystem::path directory) : directory_(std::move(directory)) {
  if (mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) {
    failed("make", directory_);
  }
}

// Keys may hold any character; what is not plain is written as %XX. The prefix keeps keys apart from lock and
// temporaries.
std::filesystem::path FileStore::file_of(std::string_view key) const {
  std::string name = "key.";
  for (const char c : key) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    name += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  require(name.size() <= 255, "store: the key \"{}\" is too long for a file name", key.substr(0, 80));
  return directory_ / name;
}

void FileStore::write(std::string_view key, std::string_view value) {
  check_store_entry(key, value);
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path target = file_of(key);
  const std::filesystem::path aside = directory_ / fmt::format("tmp.{}.{}", getpid(), counter.fetch_add(1));
  const Fd file = open_file(aside, O_WRONLY | O_CREAT | O_EXCL);
  if (file.get() < 0 || ::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()) ||
      rename(aside.c_str(), target.c_str()) != 0) {
    failed("write", target);
  }
}

void FileStore::set(std::string_view key, std::string_view value) { write(key, value); }

std::optional<std::string> FileStore::try_get(std::string_view key) {
  const std::filesystem::path path = file_of(key);
  const Fd file = open_file(path, O_RDONLY);
  if (file.get() < 0) {
    if (errno == ENOENT) {
      return std::nullopt;
    }
    failed("read", path);
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0) {
    failed("read", path);
  }
  require(static_cast<std::size_t>(info.st_size) <= kMaxValueBytes, "store: {} has {} bytes, at most {} expected",
          path.string(), static_cast<std::int64_t>(info.st_size), kMaxValueBytes);
  std::string value(static_cast<std::size_t>(info.st_size), '\0');
  if (read(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    failed("read", path);
  }
  return value;
}

std::string FileStore::get(std::string_view key, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    if (auto value = try_get(key)) {
      return *value;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      store_timeout(key, timeout, directory_.string());
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(20));
  }
}

std::int64_t FileStore::add(std::string_view key, std::int64_t delta) {
  const Lock lock(directory_);
  const std::optional<std::string> present = try_get(key);
  const std::int64_t value = (present ? parse_counter(key, *present) : 0) + delta;
  write(key, std::to_string(value));
  return value;
}

bool FileStore::compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                                std::string_view value) {
  const Lock lock(directory_);
  if (try_get(key) != expected) {
    return false;
  }
  write(key, value);
  return true;
}

void FileStore::erase(std::string_view key) {
  const std::filesystem::path path = file_of(key);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    failed("remove", path);
  }
}

}  // namespace trireme::comm
