#include "trireme/training/strategy_options.h"

namespace trireme::training {
namespace {

comm::ReduceOrder reduce_order(const ProgramOptions& options) {
  return options.reduce_order == "fast" ? comm::ReduceOrder::fast : comm::ReduceOrder::canonical;
}

}  // namespace

strategies::MirroredOptions mirrored_options(const ProgramOptions& options) {
  return {.seed = options.seed,
          .reduce_order = reduce_order(options),
          .param_dtype = dtype_from_name(options.compute_dtype())};
}

strategies::ParameterServerOptions parameter_server_options(const ProgramOptions& options) {
  using strategies::parameter_server::Consistency;
  const Consistency consistency = options.consistency == "ssp"     ? Consistency::ssp
                                  : options.consistency == "async" ? Consistency::async
                                                                   : Consistency::sync;
  return {.seed = options.seed,
          .servers = static_cast<int>(options.servers),
          .consistency = consistency,
          .staleness = options.staleness,
          .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_seconds * 1e3))};
}

strategies::FullyShardedOptions fully_sharded_options(const ProgramOptions& options) {
  return {.seed = options.seed,
          .zero_stage = static_cast<int>(options.zero_stage),
          .reshard_after_forward = parse_reshard_after_forward(options.reshard_after_forward),
          .shard_group = static_cast<int>(options.shard_group),
          .reduce_order = reduce_order(options),
          .param_dtype = dtype_from_name(options.compute_dtype()),
          .reduce_dtype = dtype_from_name(options.reduce_dtype),
          .cpu_offload = options.cpu_offload};
}

}  // namespace trireme::training
