#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

std::optional<Place> read_open_mpi(const Variables& variables) {
  if (!variables.has_any({"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"})) {
    return std::nullopt;
  }
  const std::string missing = variables.missing(
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"});
  require(missing.empty(),
          "environment: {} not set while other names of Open MPI are; start ranks with mpirun, and let wrappers pass "
          "the environment on",
          missing);
  Place place = read_ranks(
      variables, "Open MPI",
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"});
  if (!place.on_one_host()) {  // OMPI_COMM_WORLD_NODE_RANK counts processes of a host, not hosts
    place.nodes = variables.number_or("OMPI_MCA_orte_num_nodes", 1, kMaxWorldSize, 0);
  }
  const std::string job = variables.first_text({"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"});
  place.job = job.empty() ? "" : "mpirun/" + job;
  place.secret = variables.text("OMPI_MCA_orte_precondition_transports");  // 128 random bits, made for each mpirun
  place.speaks_mpi = true;
  return place;
}

}  // namespace trireme::comm
