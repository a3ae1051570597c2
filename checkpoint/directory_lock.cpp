#include "trireme/checkpoint/directory_lock.h"

#include <fmt/format.h>
#include <unistd.h>

#include "trireme/checkpoint/layout.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/host.h"

namespace trireme::checkpoint {
namespace {

constexpr std::chrono::milliseconds kLockPause{20};
constexpr std::uint64_t kOwnerBytesMax = 4096;

std::string owner_text(std::uint64_t run_id) {
  return fmt::format("process {} on {}, run {}", ::getpid(), host_name(), hash_text(run_id));
}

std::string owner_of(FileSystem& files, const std::string& path) {
  try {
    const std::vector<std::byte> text = read_file(files, path, kOwnerBytesMax);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  } catch (const Error&) {  // the other job may be writing it just now
    return "another job";
  }
}

}  // namespace

std::unique_ptr<FileLock> lock_directory(FileSystem& files, Clock& clock, const std::string& directory,
                                         std::uint64_t run_id, std::chrono::milliseconds timeout) {
  const std::string path = join_path(directory, kLockName);
  const Clock::TimePoint deadline = clock.now() + timeout;
  while (true) {
    if (std::unique_ptr<FileLock> lock = files.try_lock(path, owner_text(run_id))) {
      return lock;
    }
    require(clock.now() < deadline,
            "checkpoint directory {} is in use by {}; stop that job or give this one another --checkpoint-dir",
            directory, owner_of(files, path));
    clock.sleep(kLockPause);
  }
}

}  // namespace trireme::checkpoint
