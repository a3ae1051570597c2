#include "trireme/strategies/parameter_server/wire/shm/local_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

constexpr int kBacklog = 1024;

struct LocalAddress {
  sockaddr_un address{};
  socklen_t size = 0;
};

LocalAddress address_of(const std::string& name) {
  LocalAddress local;
  local.address.sun_family = AF_UNIX;
  require(name.size() + 1 < sizeof local.address.sun_path, "wire: \"{}\" is too long for a local socket's name", name);
  std::memcpy(local.address.sun_path + 1, name.data(), name.size());  // the first byte 0: no file
  local.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return local;
}

Fd make_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  require(static_cast<bool>(fd), "wire: no local socket is to be had{}", errno_text(errno));
  return fd;
}

Transfer trouble() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? Transfer::later : Transfer::broken;
}

union Ancillary {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

}  // namespace

Fd listen_locally(const std::string& name) {
  Fd fd = make_socket();
  const LocalAddress local = address_of(name);
  const bool listens = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local.address), local.size) == 0 &&
                       ::listen(fd.get(), kBacklog) == 0;
  require(listens, "wire: cannot listen on the local socket {}{}", name, errno_text(errno));
  return fd;
}

Fd call_locally(const std::string& name) {
  Fd fd = make_socket();
  const LocalAddress local = address_of(name);
  const bool connected = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&local.address), local.size) == 0;
  require(connected, "nobody answers at the local socket {}{}", name, errno_text(errno));
  return fd;
}

Fd accept_locally(int listener) {
  Fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (fd && (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::geteuid())) {
    fd.reset();
  }
  return fd;
}

Transfer send_note(int socket, const Note& note, int memory) {
  iovec part{const_cast<Note*>(&note), sizeof note};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Ancillary ancillary{};
  if (memory >= 0) {
    message.msg_control = ancillary.bytes;
    message.msg_controllen = sizeof ancillary.bytes;
    ancillary.header.cmsg_level = SOL_SOCKET;
    ancillary.header.cmsg_type = SCM_RIGHTS;
    ancillary.header.cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(&ancillary.header), &memory, sizeof memory);
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(sizeof note) ? Transfer::done : trouble();
}

Transfer receive_note(int socket, Note& note, Fd& memory) {
  iovec part{&note, sizeof note};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Ancillary ancillary{};
  message.msg_control = ancillary.bytes;
  message.msg_controllen = sizeof ancillary.bytes;
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));  // the reset is told once, ahead of what has arrived
  if (got < 0) {
    return trouble();
  }
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    memory = Fd(fd);
  }
  return got == static_cast<ssize_t>(sizeof note) ? Transfer::done : Transfer::broken;
}

}  // namespace trireme::strategies::parameter_server::wire
