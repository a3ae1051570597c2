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
  return read_ranks(variables, "MPICH", {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"});
}

}  // namespace trireme::comm
