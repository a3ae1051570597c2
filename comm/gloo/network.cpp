#include "trireme/comm/gloo/network.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <memory>

namespace trireme::comm::gloo_backend {
namespace {

std::string text_of(const sockaddr* address) {
  char text[NI_MAXHOST] = "";
  const socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

std::string read_line(const char* file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

}  // namespace

// Calls f(socket, address) for each address of the host, until it returns true; whether it did.
template <class F>
bool any_address(const std::string& host, int type, F f) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* first = nullptr;
  if (getaddrinfo(host.c_str(), type == SOCK_DGRAM ? "9" : nullptr, &hints, &first) != 0) {
    return false;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(first, &freeaddrinfo);
  for (const addrinfo* entry = first; entry != nullptr; entry = entry->ai_next) {
    const int fd = socket(entry->ai_family, type | SOCK_CLOEXEC, 0);
    const bool found = fd >= 0 && f(fd, *entry);
    if (fd >= 0) {
      close(fd);
    }
    if (found) {
      return true;
    }
  }
  return false;
}

// A connected datagram socket sends nothing, but knows its own side.
std::string address_towards(const std::string& host) {
  std::string address;
  any_address(host, SOCK_DGRAM, [&](int fd, const addrinfo& to) {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    if (connect(fd, to.ai_addr, to.ai_addrlen) != 0 || getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
      return false;
    }
    address = text_of(reinterpret_cast<const sockaddr*>(&own));
    return true;
  });
  return address;
}

bool is_local(const std::string& address) {
  return any_address(address, SOCK_STREAM,
                     [](int fd, const addrinfo& own) { return bind(fd, own.ai_addr, own.ai_addrlen) == 0; });
}

std::string network_identity() {
  char name[PATH_MAX];
  const ssize_t size = readlink("/proc/self/ns/net", name, sizeof name);
  return read_line("/proc/sys/kernel/random/boot_id") + " " +
         std::string(name, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
}

}  // namespace trireme::comm::gloo_backend
