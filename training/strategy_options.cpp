#include "trireme/training/strategy_options.h"

#include <algorithm>

namespace trireme::training {
namespace {

comm::ReduceOrder reduce_order(const ProgramOptions& options) {
  return options.reduce_order == "fast" ? comm::ReduceOrder::fast : comm::ReduceOrder::canonical;
}

std::chrono::milliseconds timeout_of(const ProgramOptions& options) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::max(1.0, options.timeout_seconds * 1e3)));
}

// "RULE:N", as check_options() has found it; nothing: the strategy's own choice.
std::optional<sharding::Partitioner> partitioner_of(const ProgramOptions& options, int servers) {
  const auto parsed = parse_partitioner(options.partitioner);
  if (!parsed) {
    return std::nullopt;
  }
  const auto& [rule, number] = *parsed;
  if (rule == "fixed") {
    return sharding::FixedShards{.shards = static_cast<int>(number)};
  }
  if (rule == "min_size") {
    return sharding::MinSize{.min_bytes = number, .max_shards = servers};
  }
  return sharding::MaxSize{.max_bytes = number};
}

}  // namespace

strategies::MirroredOptions mirrored_options(const ProgramOptions& options) {
  return {.seed = options.seed,
          .reduce_order = reduce_order(options),
          .param_dtype = dtype_from_name(options.compute_dtype())};
}

comm::EnvironmentOptions environment_options(const ProgramOptions& options) {
  return {.backend = options.backend, .timeout = timeout_of(options), .interface = options.interface};
}

strategies::ParameterServerOptions parameter_server_options(const ProgramOptions& options, int servers) {
  using strategies::parameter_server::Consistency;
  const Consistency consistency = options.consistency == "ssp"     ? Consistency::ssp
                                  : options.consistency == "async" ? Consistency::async
                                                                   : Consistency::sync;
  return {.seed = options.seed,
          .servers = servers,
          .consistency = consistency,
          .staleness = options.staleness,
          .partitioner = partitioner_of(options, servers),
          .timeout = timeout_of(options)};
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
