// One reader for each launcher: nothing if the launcher has left no trace, Error if it has left half of one.
#pragma once

#include <optional>
#include <string_view>

#include "trireme/comm/environment/place.h"

namespace trireme::comm {

// torchrun, `trireme run`, and whoever sets these names by hand: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE,
// MASTER_ADDR, MASTER_PORT; GROUP_RANK and GROUP_WORLD_SIZE (or NNODES) where given. Its trace is RANK or LOCAL_RANK:
// the others are the same for all ranks, and job scripts set them for other launchers too.
std::optional<Place> read_torchrun(const Variables& variables);
// mpirun of Open MPI: OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE.
std::optional<Place> read_open_mpi(const Variables& variables);
// MVAPICH2: MV2_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE.
std::optional<Place> read_mvapich(const Variables& variables);
// mpiexec of MPICH and Intel MPI (hydra): PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS. Its trace is the MPI_
// names: srun --mpi=pmi2 sets the others too.
std::optional<Place> read_hydra(const Variables& variables);
// A task of srun. The batch shell of sbatch and the shell of salloc are none, although SLURM_PROCID may be set there.
std::optional<Place> read_slurm(const Variables& variables);
// Any PMI-1 or PMI-2 server: PMI_RANK, PMI_SIZE. It does not tell hosts.
std::optional<Place> read_pmi(const Variables& variables);
// Any PMIx server: PMIX_RANK, PMIX_NAMESPACE. It does not tell the number of ranks in the environment: always an Error.
std::optional<Place> read_pmix(const Variables& variables);

// The four variables by which most launchers tell a process where it stands.
struct RankNames {
  std::string_view rank, size, local_rank, local_size;
};
// What they say: ranks, and the host if it is the only one; which of several hosts this is they do not tell. Raises
// Error naming the variable that is not set or no such number.
Place read_ranks(const Variables& variables, const char* launcher, const RankNames& names);

// "a Slurm job of 4 tasks", where this process runs in a job but is no task of srun, and the job has several; else
// empty.
std::string slurm_job_around(const Variables& variables);
// How many ranks a launcher other than torchrun says it has started; 0: none speaks.
int size_of_other_launcher(const Variables& variables);

}  // namespace trireme::comm
