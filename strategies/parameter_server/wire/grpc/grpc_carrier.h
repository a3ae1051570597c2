// Connections between hosts: one bidirectional gRPC stream each, whose messages are raw bytes.
#pragma once

#include <memory>

#include "trireme/strategies/parameter_server/wire/link.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::strategies::parameter_server::wire {

// Uses tls and interface of the options. Raises Error (usage) if the files cannot be read, or the build has no gRPC.
std::unique_ptr<Carrier> make_grpc_carrier(const WireOptions& options);

}  // namespace trireme::strategies::parameter_server::wire
