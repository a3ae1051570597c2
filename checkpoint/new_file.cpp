#include "trireme/checkpoint/new_file.h"

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

std::string unfinished(const std::string& path) { return path + ".tmp"; }

}  // namespace

NewFile::NewFile(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {
  const std::optional<FileStatus> there = files.status(path_);
  require(!there || !there->is_directory, "save {}: it is a directory; give the name of a file", path_);
  file_ = files.open(unfinished(path_), OpenMode::create);
}

NewFile::~NewFile() {
  if (!file_) {
    return;
  }
  file_.reset();
  try {
    files_.remove_file(unfinished(path_));
  } catch (const Error&) {  // whatever stopped the writing may stop this too
  }
}

void NewFile::finish() {
  file_->sync();
  files_.rename(unfinished(path_), path_);
  file_.reset();
}

}  // namespace trireme::checkpoint
