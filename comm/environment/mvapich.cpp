#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

std::optional<Place> read_mvapich(const Variables& variables) {
  if (!variables.has_any({"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"})) {
    return std::nullopt;
  }
  const std::string missing = variables.missing(
      {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"});
  require(missing.empty(),
          "environment: {} not set while other names of MVAPICH are; start ranks with its mpiexec, and let wrappers "
          "pass the environment on",
          missing);
  return read_ranks(
      variables, "MVAPICH",
      {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"});
}

}  // namespace trireme::comm
