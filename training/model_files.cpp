#include "trireme/training/model_files.h"

#include <algorithm>
#include <utility>
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

// The other ranks take part in making every value, also of those that cannot be written any more.
void write_on_this_rank(const std::string& path, std::vector<checkpoint::TensorSource>& whole) {
  std::size_t made = 0;
  for (checkpoint::TensorSource& tensor : whole) {
    tensor.values = [&made, values = std::move(tensor.values)] {
      ++made;
      return values();
    };
  }
  PosixFileSystem files;
  try {
    checkpoint::save_model(files, path, whole);
  } catch (const comm::CommError&) {
    throw;
  } catch (const Error&) {
    while (made < whole.size()) {
      whole[made].values();
    }
    throw;
  }
  log::info("model written to {}", path);
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
  std::vector<checkpoint::TensorSource> whole;
  for (const strategies::WholeParameter& parameter : strategy.whole_parameters()) {
    whole.push_back({parameter.name, parameter.shape, parameter.dtype, parameter.value});
  }
  std::vector<sharding::StateTensor> buffers;
  append(buffers, strategy.state(), kBuffer);
  for (const sharding::StateTensor& buffer : buffers) {
    whole.push_back({buffer.name, buffer.rows.shape(), buffer.rows.dtype(), [rows = buffer.rows] { return rows; }});
  }
  if (strategy.communicator().rank() == 0) {
    write_on_this_rank(path, whole);
  } else {
    std::ranges::for_each(whole, [](const checkpoint::TensorSource& tensor) { tensor.values(); });
  }
}

}  // namespace trireme::training
