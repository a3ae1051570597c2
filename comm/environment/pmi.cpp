// What is left when no launcher gives more: the process-management interfaces themselves.
#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

std::optional<Place> read_pmi(const Variables& variables) {
  if (!variables.has_any({"PMI_RANK", "PMI_SIZE"})) {
    return std::nullopt;
  }
  const std::string missing = variables.missing({"PMI_RANK", "PMI_SIZE"});
  require(missing.empty(), "environment: {} not set while other names of PMI are; start ranks with mpiexec or srun",
          missing);
  Place place;
  place.launcher = "PMI";
  place.size = variables.number("PMI_SIZE", 1, kMaxWorldSize);
  place.rank = variables.number("PMI_RANK", 0, place.size - 1);
  if (place.size == 1) {
    place.local_rank = place.node = 0;
    place.local_size = place.nodes = 1;
  }
  place.job = variables.has("PMI_JOBID") ? "pmi/" + variables.text("PMI_JOBID") : "";
  return place;
}

std::optional<Place> read_pmix(const Variables& variables) {
  if (!variables.has_any({"PMIX_RANK", "PMIX_NAMESPACE"})) {
    return std::nullopt;
  }
  fail(
      "environment: PMIX_RANK={} and PMIX_NAMESPACE={} are set, which do not tell how many ranks there are; start "
      "ranks "
      "with mpirun, `srun --mpi=pmix` or `trireme run`, or unset PMIX_RANK and PMIX_NAMESPACE for a lone process",
      variables.text("PMIX_RANK").substr(0, 80), variables.text("PMIX_NAMESPACE").substr(0, 80));
}

}  // namespace trireme::comm
