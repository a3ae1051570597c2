#include "trireme/launcher/fd.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "trireme/core/base/error.h"

namespace trireme::launcher {

FdPair make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    fail("trireme run: no pipe for a worker's output{}; raise the open-file limit (`ulimit -n`)", errno_text(errno));
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {Fd(ends[0]), Fd(ends[1])};
}

FdPair make_message_socket() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    fail("trireme run: no socket pair for a worker's status{}; raise the open-file limit (`ulimit -n`)",
         errno_text(errno));
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace trireme::launcher
