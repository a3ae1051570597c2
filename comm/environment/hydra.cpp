#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

std::optional<Place> read_hydra(const Variables& variables) {
  if (!variables.has_any({"MPI_LOCALRANKID", "MPI_LOCALNRANKS"})) {
    return std::nullopt;
  }
  const std::string missing = variables.missing({"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"});
  require(missing.empty(),
          "environment: {} not set while other names of MPICH are; start ranks with mpiexec (without -pmi-port), and "
          "let wrappers pass the environment on",
          missing);
  Place place;
  place.launcher = "MPICH";
  place.size = variables.number("PMI_SIZE", 1, kMaxWorldSize);
  place.rank = variables.number("PMI_RANK", 0, place.size - 1);
  place.local_size = variables.number("MPI_LOCALNRANKS", 1, place.size);
  place.local_rank = variables.number("MPI_LOCALRANKID", 0, place.local_size - 1);
  place.nodes = place.on_one_host() ? 1 : 0;
  place.node = place.on_one_host() ? 0 : -1;
  return place;
}

}  // namespace trireme::comm
