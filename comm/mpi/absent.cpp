// Stands for comm/mpi in a build without it.
#include "trireme/comm/mpi/mpi.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

std::shared_ptr<Communicator> connect_mpi(const MpiOptions&) {
  fail_usage(
      "backend mpi: this build does not have it; install Open MPI's headers (Debian: libopenmpi-dev, and openmpi-bin "
      "to "
      "run), configure with -DTRIREME_WITH_MPI=ON and build again, or choose another backend");
}

bool has_mpi() { return false; }

bool can_load_mpi() { return false; }

}  // namespace trireme::comm
