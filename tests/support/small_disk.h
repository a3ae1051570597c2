// A file system of a given size that a test may fill.
#pragma once

#include <sys/mount.h>

#include <cerrno>
#include <string>

#include "tests/support/temp_dir.h"
#include "trireme/core/base/error.h"

namespace trireme::test {

// A tmpfs, mounted while this lives; only root may mount, others find the reason in problem().
class SmallDisk {
 public:
  explicit SmallDisk(std::size_t bytes) {
    const std::string size = "size=" + std::to_string(bytes);
    if (mount("trireme_test", path().c_str(), "tmpfs", 0, size.c_str()) != 0) {
      problem_ = "a small file system cannot be mounted" + errno_text(errno) + "; run the tests as root";
    }
  }
  ~SmallDisk() {
    if (problem_.empty()) {
      umount2(path().c_str(), MNT_DETACH);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Why there is none, for GTEST_SKIP(); empty if there is.
  const std::string& problem() const { return problem_; }
  std::string path() const { return directory_.path().string(); }

 private:
  TempDir directory_;
  std::string problem_;
};

}  // namespace trireme::test
