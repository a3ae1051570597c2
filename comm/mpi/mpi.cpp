#include "trireme/comm/mpi/mpi.h"

#include "trireme/comm/message/message_communicator.h"
#include "trireme/comm/mpi/library-inl.h"
#include "trireme/comm/mpi/mpi_link.h"

namespace trireme::comm {

std::shared_ptr<Communicator> connect_mpi(const MpiOptions& options) {
  return std::make_shared<message::MessageCommunicator>(connect_mpi_link(options), options.timeout);
}

bool has_mpi() { return true; }

bool can_load_mpi() {
  try {
    load_mpi("");
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace trireme::comm
