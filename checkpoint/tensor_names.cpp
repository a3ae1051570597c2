#include "trireme/checkpoint/tensor_names.h"

namespace trireme::checkpoint {

TensorName split_name(std::string_view name) {
  for (const std::string_view kind : {kModelKind, kBufferKind}) {
    if (name.starts_with(kind)) {
      return {kind, name.substr(kind.size())};
    }
  }
  if (name.starts_with(kOptimizerKind)) {
    const std::size_t dot = name.find('.', kOptimizerKind.size());
    if (dot != std::string_view::npos) {
      return {name.substr(0, dot + 1), name.substr(dot + 1)};
    }
  }
  return {name.substr(0, 0), name};
}

}  // namespace trireme::checkpoint
