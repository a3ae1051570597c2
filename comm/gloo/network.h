// Which of this host's addresses Gloo takes.
#pragma once

#include <string>
#include <vector>

namespace trireme::comm::gloo_backend {

// "lo, eth0": the interfaces of this host that have an address, by name.
std::vector<std::string> interface_names();
// The address of the interface with this name (IPv4 if it has one); empty if there is no such interface.
std::string address_of_interface(const std::string& name);
// The address of this host from which it reaches `host`; empty if there is no way, or no such host.
std::string address_towards(const std::string& host);
// The first address that other hosts may reach; loopback if there is none.
std::string outward_address();
// Whether it is an address, or the name of one, on which this host can listen.
bool is_local(const std::string& address);
bool is_loopback(const std::string& address);
// Equal on processes that reach each other by loopback: of one host and one network namespace.
std::string network_identity();

}  // namespace trireme::comm::gloo_backend
