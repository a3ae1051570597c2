// The network interfaces of this host.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace trireme::comm {

struct Interface {
  std::string name;     // "eth0"
  std::string address;  // numeric; its IPv4 address, or an IPv6 one where it has no other
  bool loopback = false;
};

// Those that are up and have an address.
std::vector<Interface> interfaces();

std::optional<Interface> find_interface(const std::string& name);
// "lo (127.0.0.1), eth0 (192.0.2.2)", or "none".
std::string names_of_interfaces();

// The address of the interface with this name. Raises Error listing the interfaces that there are; the error is one of
// usage if `usage`.
std::string address_of_interface(const std::string& name, bool usage);

// An address that other hosts may reach: of the first interface that is no loopback; that of loopback if there is none.
std::string outward_address();

// Whether a host name or numeric address stands for this machine's loopback; false if it has no address.
bool is_loopback(const std::string& host);
bool has_address(const std::string& host);

}  // namespace trireme::comm
