// A file that appears under its name when it is whole, or not at all.
#pragma once

#include <memory>
#include <string>

#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

// Written beside its place, then synced and renamed by finish(): an older file of that name stays until then. What was
// never finished is removed by the destructor, as far as that is possible.
class NewFile {
 public:
  // Raises Error if `path` is a directory. The FileSystem must outlive it.
  NewFile(FileSystem& files, std::string path);
  ~NewFile();
  NewFile(NewFile&&) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;

  File& content() { return *file_; }
  // The name is durable once the directory is synced.
  void finish();

 private:
  FileSystem& files_;
  std::string path_;
  std::unique_ptr<File> file_;  // null: finished or moved from
};

}  // namespace trireme::checkpoint
