#include "trireme/training/later_options.h"

namespace trireme::training {

std::span<const LaterOption> later_options() {
  static const std::vector<LaterOption> options = {
      {.name = "--param-dtype", .needs = "it belongs to --strategy fully_sharded", .harmless = {"f32"}},
      {.name = "--reduce-dtype", .needs = "it belongs to --strategy fully_sharded", .harmless = {"f32"}},
      {.name = "--buddy", .needs = "it belongs to --strategy fully_sharded", .harmless = {"auto", "off"}},
      {.name = "--servers", .needs = "it belongs to --strategy parameter_server"},
      {.name = "--consistency", .needs = "it belongs to --strategy parameter_server"},
      {.name = "--staleness", .needs = "it belongs to --strategy parameter_server"},
      {.name = "--replicas", .needs = "it belongs to --strategy parameter_server"},
      {.name = "--tensorboard", .needs = "--metrics FILE writes the same numbers as JSON lines"},
      {.name = "--trace", .needs = "no trace writer"},
      {.name = "--export-onnx", .needs = "--export FILE writes safetensors"},
      {.name = "--mlflow", .needs = "--metrics FILE writes the same numbers as JSON lines"},
  };
  return options;
}

}  // namespace trireme::training
