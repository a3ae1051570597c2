#include "trireme/comm/store/addresses.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string& host, int port, int flags) {
  require(port >= 0 && port <= 65535, "store: port {} given, 0 to 65535 expected", port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  require(error == 0, "store: the host name \"{}\" (MASTER_ADDR) has no address: {}", host, gai_strerror(error));
  return {found, &freeaddrinfo};
}

int open_socket(const addrinfo& address) {
  return socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol);
}

// A connected socket, or -1 with errno set.
int try_connect(const addrinfo& address, TimePoint deadline) {
  const int fd = open_socket(address);
  if (fd < 0) {
    return -1;
  }
  int error = connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLOUT, 0};
    const bool answered = poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30))) > 0;
    socklen_t size = sizeof error;
    error = ETIMEDOUT;
    if (answered) {
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error != 0) {
    close(fd);
    errno = error;
    return -1;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

int listen_on(const std::string& host, int port) {
  const Addresses addresses = resolve(host, port, AI_PASSIVE);
  int error = 0;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int fd = open_socket(*address);
    const int on = 1;
    if (fd >= 0) {
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
      }
    }
    error = errno;
    if (fd >= 0) {
      close(fd);
    }
  }
  fail(
      "store: cannot listen on {}:{} (MASTER_ADDR:MASTER_PORT){}; choose another port or end the program that holds it",
      host.empty() ? "*" : host, port, errno_text(error));
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  require(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0, "store: getsockname failed{}",
          errno_text(errno));
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

int connect_once(const std::string& host, int port, TimePoint deadline) {
  const Addresses addresses = resolve(host, port, 0);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int fd = try_connect(*address, deadline);
    if (fd >= 0) {
      return fd;
    }
  }
  return -1;
}

int connect_until(const std::string& host, int port, TimePoint deadline) {
  while (true) {
    const int fd = connect_once(host, port, deadline);
    if (fd >= 0) {
      return fd;
    }
    const int error = errno;
    require(std::chrono::steady_clock::now() < deadline,
            "store: cannot connect to {}:{} (MASTER_ADDR:MASTER_PORT){}; is rank 0 running, and the port open?", host,
            port, errno_text(error));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace trireme::comm
