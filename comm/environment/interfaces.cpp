#include "trireme/comm/environment/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

std::string numeric(const sockaddr* address) {
  char text[NI_MAXHOST] = {};
  const socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  return getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 ? text : "";
}

bool is_loopback_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  }
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr) != 0;
}

std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const bool known = !host.empty() && getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0;
  return {known ? found : nullptr, &freeaddrinfo};
}

}  // namespace

std::vector<Interface> interfaces() {
  ifaddrs* first = nullptr;
  require(getifaddrs(&first) == 0, "interfaces: the system does not list them{}", errno_text(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, &freeifaddrs);
  std::vector<Interface> found;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
      const bool usable =
          entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == family && (entry->ifa_flags & IFF_UP) != 0;
      const auto known = [&](const Interface& one) { return one.name == entry->ifa_name; };
      if (usable && std::none_of(found.begin(), found.end(), known)) {
        found.push_back({entry->ifa_name, numeric(entry->ifa_addr), (entry->ifa_flags & IFF_LOOPBACK) != 0});
      }
    }
  }
  return found;
}

std::optional<Interface> find_interface(const std::string& name) {
  const std::vector<Interface> all = interfaces();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Interface& one) { return one.name == name; });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

std::string names_of_interfaces() {
  std::string list;
  for (const Interface& one : interfaces()) {
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", one.name, one.address);
  }
  return list.empty() ? "none" : list;
}

std::string address_of_interface(const std::string& name, bool usage) {
  const std::optional<Interface> found = find_interface(name);
  if (!found) {
    throw_error(usage ? ErrorKind::usage : ErrorKind::failure,
                fmt::format("--interface {}: this host has no such interface that is up and has an address; it has {}",
                            name, names_of_interfaces()));
  }
  return found->address;
}

std::string outward_address() {
  const std::vector<Interface> all = interfaces();
  const auto found = std::find_if(all.begin(), all.end(), [](const Interface& one) { return !one.loopback; });
  return found == all.end() ? "127.0.0.1" : found->address;
}

bool is_loopback(const std::string& host) {
  const auto found = resolve(host);
  return found != nullptr && is_loopback_address(found->ai_addr);
}

bool has_address(const std::string& host) { return resolve(host) != nullptr; }

}  // namespace trireme::comm
