#include <algorithm>

#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

// Those that start processes themselves stand before those through which they may do it: mpirun inside a Slurm job
// starts its daemons with srun, whose names the ranks inherit.
std::optional<Place> read_other_launchers(const Variables& variables) {
  for (const auto& read : {read_open_mpi, read_mvapich, read_hydra, read_slurm, read_pmi, read_pmix}) {
    if (auto place = read(variables)) {
      return place;
    }
  }
  return std::nullopt;
}

// Job scripts often export WORLD_SIZE for srun; it must then agree.
void check_same_size(const Variables& variables, const Place& place) {
  const int told = variables.number_or("WORLD_SIZE", 1, kMaxWorldSize, place.size);
  require(told == place.size,
          "environment: WORLD_SIZE={} given, but {} has started {} ranks; unset WORLD_SIZE, or start as many", told,
          place.launcher, place.size);
}

void check_nothing_left(const Variables& variables) {
  const auto names = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"};
  const bool any = std::any_of(names.begin(), names.end(), [&](const char* name) { return variables.has(name); });
  require(!any,
          "environment: {} not set while others of RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
          "MASTER_PORT are; start ranks with `trireme run`, mpirun or srun, or unset all six for a lone process",
          variables.missing({"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}));
}

Place alone(const Variables& variables) {
  check_nothing_left(variables);
  Place place;
  place.local_rank = place.node = 0;
  place.local_size = place.nodes = 1;
  const std::string job = slurm_job_around(variables);
  if (!job.empty()) {
    place.warning = fmt::format("this process runs alone inside {}; to train on all of them start it with srun", job);
  }
  return place;
}

}  // namespace

int read_master_port(const Variables& variables) { return variables.number_or("MASTER_PORT", 1, 65535, 0); }

int size_of_other_launcher(const Variables& variables) {
  int most = 0;
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    most = std::max(most, variables.number_or(name, 0, kMaxWorldSize, 0));
  }
  return most;
}

Place detect_place(const Variables& variables) {
  std::optional<Place> place = read_torchrun(variables);
  if (!place) {
    place = read_other_launchers(variables);
    if (!place) {
      return alone(variables);
    }
    check_same_size(variables, *place);
  }
  place->master_address = variables.text("MASTER_ADDR");
  place->master_port = read_master_port(variables);
  return *place;
}

}  // namespace trireme::comm
