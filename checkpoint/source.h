// Source: tensors on a disk, in whatever form a user has them.
#pragma once

#include <optional>
#include <string>

#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/saved_tensors.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

// The FileSystem must outlive it. One thread at a time.
class Source {
 public:
  // Opens, and checks all headers of, what `path` is:
  //   a checkpoint, or a directory of them (the newest that is whole);
  //   a safetensors file;
  //   Hugging Face's index of several (a path that ends in ".json");
  //   a directory with such an index, or with safetensors files that together hold whole tensors, as PyTorch's
  //   distributed checkpoints in this format do (HuggingFaceStorageWriter).
  // Raises Error that names the path and what is wrong with it.
  static Source open(FileSystem& files, const std::string& path);

  // The checkpoint, file or directory that was opened.
  const std::string& path() const { return path_; }
  // Null unless it is one of our checkpoints; then every block is checked before it is used.
  const Manifest* manifest() const { return checkpoint_ ? &checkpoint_->manifest() : nullptr; }
  SavedTensors& saved() { return checkpoint_ ? checkpoint_->saved() : *plain_; }

 private:
  explicit Source(Reader checkpoint);
  Source(std::string path, SavedTensors plain) : path_(std::move(path)), plain_(std::move(plain)) {}

  std::string path_;
  std::optional<Reader> checkpoint_;
  std::optional<SavedTensors> plain_;
};

}  // namespace trireme::checkpoint
