#include "trireme/training/model_files.h"

#include <vector>

#include "trireme/checkpoint/model_file.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

constexpr std::string_view kModel = "model.";
constexpr std::string_view kBuffer = "buffer.";

// The entries of state() whose names begin with `prefix`, without it.
void append(std::vector<sharding::StateTensor>& out, std::vector<sharding::StateTensor> state,
            std::string_view prefix) {
  for (sharding::StateTensor& tensor : state) {
    if (tensor.name.starts_with(prefix)) {
      tensor.name.erase(0, prefix.size());
      out.push_back(std::move(tensor));
    }
  }
}

}  // namespace

void init_model(const std::string& path, strategies::Strategy& strategy) {
  std::vector<sharding::StateTensor> wanted;
  append(wanted, strategy.state(), kModel);
  append(wanted, strategy.state(), kBuffer);
  PosixFileSystem files;
  checkpoint::load_model(files, path, wanted);
  strategy.state_written();
}

void export_model(const std::string& path, strategies::Strategy& strategy) {
  std::vector<sharding::StateTensor> whole;
  for (const nn::NamedParameter& parameter : strategy.full_parameters()) {
    whole.push_back({parameter.name, parameter.tensor.shape(), 0, parameter.tensor.array()});
  }
  append(whole, strategy.state(), kBuffer);
  if (strategy.communicator().rank() == 0) {
    PosixFileSystem files;
    checkpoint::save_model(files, path, whole);
    log::info("model written to {}", path);
  }
}

}  // namespace trireme::training
