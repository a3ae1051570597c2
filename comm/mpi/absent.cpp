// Stands for comm/mpi in a build without it.
#include "trireme/comm/mpi/mpi.h"
#include "trireme/comm/mpi/mpi_link.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

[[noreturn]] void fail_absent() {
  fail_usage(
      "backend mpi: this build does not have it; install Open MPI's headers (Debian: libopenmpi-dev, and openmpi-bin "
      "to "
      "run), configure with -DTRIREME_WITH_MPI=ON and build again, or choose another backend");
}

}  // namespace

std::shared_ptr<Communicator> connect_mpi(const MpiOptions&) { fail_absent(); }

std::unique_ptr<Link> connect_mpi_link(const MpiOptions&) { fail_absent(); }

bool has_mpi() { return false; }

bool can_load_mpi() { return false; }

}  // namespace trireme::comm
