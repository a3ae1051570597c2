#include "trireme/comm/gloo/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <memory>

#include "trireme/core/base/error.h"

namespace trireme::comm::gloo_backend {
namespace {

struct Interface {
  std::string name;
  std::string address;
  int family;
  bool up;
};

std::string text_of(const sockaddr* address) {
  char text[NI_MAXHOST] = "";
  const socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

// IPv4 addresses first.
std::vector<Interface> interfaces() {
  ifaddrs* first = nullptr;
  require(getifaddrs(&first) == 0, "backend gloo: cannot list the network interfaces{}", errno_text(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, &freeifaddrs);
  std::vector<Interface> found;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
      if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == family) {
        found.push_back({entry->ifa_name, text_of(entry->ifa_addr), family, (entry->ifa_flags & IFF_UP) != 0});
      }
    }
  }
  return found;
}

std::string read_line(const char* file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

}  // namespace

std::vector<std::string> interface_names() {
  std::vector<std::string> names;
  for (const Interface& interface : interfaces()) {
    if (std::find(names.begin(), names.end(), interface.name) == names.end()) {
      names.push_back(interface.name);
    }
  }
  return names;
}

std::string address_of_interface(const std::string& name) {
  for (const Interface& interface : interfaces()) {
    if (interface.name == name) {
      return interface.address;
    }
  }
  return "";
}

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

std::string outward_address() {
  for (const Interface& interface : interfaces()) {
    if (interface.up && interface.family == AF_INET && !is_loopback(interface.address)) {
      return interface.address;
    }
  }
  return "127.0.0.1";
}

bool is_loopback(const std::string& address) { return address.rfind("127.", 0) == 0 || address == "::1"; }

std::string network_identity() {
  char name[PATH_MAX];
  const ssize_t size = readlink("/proc/self/ns/net", name, sizeof name);
  return read_line("/proc/sys/kernel/random/boot_id") + " " +
         std::string(name, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
}

}  // namespace trireme::comm::gloo_backend
