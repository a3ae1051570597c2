// ModelFiles: the tensors of one safetensors file, or of the several that Hugging Face's index names
// ("model.safetensors.index.json"). Internal to checkpoint/.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trireme/checkpoint/safetensors_file.h"

namespace trireme::checkpoint {

struct ModelEntry {
  const SafetensorsFile* file = nullptr;
  const TensorEntry* tensor = nullptr;
};

class ModelFiles {
 public:
  // Opens and checks all headers. Raises Error.
  ModelFiles(FileSystem& files, const std::string& path);

  const std::map<std::string, ModelEntry>& entries() const { return entries_; }
  const ModelEntry* find(const std::string& name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }

 private:
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, ModelEntry> entries_;
};

}  // namespace trireme::checkpoint
