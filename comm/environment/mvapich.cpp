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
  Place place;
  place.launcher = "MVAPICH";
  place.size = variables.number("MV2_COMM_WORLD_SIZE", 1, kMaxWorldSize);
  place.rank = variables.number("MV2_COMM_WORLD_RANK", 0, place.size - 1);
  place.local_size = variables.number("MV2_COMM_WORLD_LOCAL_SIZE", 1, place.size);
  place.local_rank = variables.number("MV2_COMM_WORLD_LOCAL_RANK", 0, place.local_size - 1);
  place.nodes = place.on_one_host() ? 1 : 0;
  place.node = place.on_one_host() ? 0 : -1;
  return place;
}

}  // namespace trireme::comm
