// Connections between processes of one host and one user, whose bytes move through shared memory.
#pragma once

#include <memory>
#include <string>

#include "trireme/strategies/parameter_server/wire/link.h"

namespace trireme::strategies::parameter_server::wire {

std::unique_ptr<Carrier> make_shm_carrier();

// Equal on processes that this carrier can connect: same host, user, process and network namespace.
std::string identity_of_host();

}  // namespace trireme::strategies::parameter_server::wire
