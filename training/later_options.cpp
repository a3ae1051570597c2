#include "trireme/training/later_options.h"

namespace trireme::training {

std::span<const LaterOption> later_options() {
  static const std::vector<LaterOption> options = {
      {.name = "--buddy", .needs = "a lost shard comes from the newest checkpoint", .harmless = {"auto", "off"}},
      {.name = "--replicas", .needs = "servers have no replicas", .harmless = {"1"}},
      {.name = "--tensorboard", .needs = "--metrics FILE writes the same numbers as JSON lines"},
      {.name = "--trace", .needs = "no trace writer"},
      {.name = "--export-onnx", .needs = "--export FILE writes safetensors"},
      {.name = "--mlflow", .needs = "--metrics FILE writes the same numbers as JSON lines"},
  };
  return options;
}

}  // namespace trireme::training
