// The file system of a run's checkpoints, which a rehearsed failure may fill (`trireme run --inject disk_full:...`).
#pragma once

#include <atomic>

#include "trireme/core/base/filesystem.h"

namespace trireme::training {

// The machine's own file system until fill() is called; then nothing more can be written through it, as on a full disk.
class RehearsedDisk final : public PosixFileSystem {
 public:
  // `rehearsing` false: fill() will not be called, and files are as fast as ever.
  explicit RehearsedDisk(bool rehearsing) : rehearsing_(rehearsing) {}

  void fill() { full_ = true; }

 protected:
  Result<std::unique_ptr<File>> do_open(const std::string& path, OpenMode mode) override;

 private:
  bool rehearsing_;
  std::atomic<bool> full_ = false;
};

}  // namespace trireme::training
