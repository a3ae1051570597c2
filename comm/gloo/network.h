// Which of this host's addresses Gloo takes; comm/environment/interfaces.h lists them.
#pragma once

#include <string>

namespace trireme::comm::gloo_backend {

// The address of this host from which it reaches `host`; empty if there is no way, or no such host.
std::string address_towards(const std::string& host);
// Whether it is an address, or the name of one, on which this host can listen.
bool is_local(const std::string& address);
// Equal on processes that reach each other by loopback: of one host and one network namespace.
std::string network_identity();

}  // namespace trireme::comm::gloo_backend
