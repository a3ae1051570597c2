// Pipes and sockets between the launcher and its workers.
#pragma once

#include "trireme/core/base/fd.h"

namespace trireme::launcher {

struct FdPair {
  Fd ours;    // read end, or the launcher's side
  Fd theirs;  // write end, or the worker's side
};

// Both close on exec, so that no worker holds another one's end; `ours` never blocks. Raise Error.
FdPair make_pipe();
FdPair make_message_socket();  // AF_UNIX, SOCK_SEQPACKET

}  // namespace trireme::launcher
