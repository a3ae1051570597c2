// Who may talk to whom: what the two sides of a new connection tell each other, and why one may refuse. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "trireme/strategies/parameter_server/wire/messages.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::strategies::parameter_server::wire {

Hello hello_of(const WireOptions& options, std::uint64_t incarnation);

// Empty: the caller is welcome to the process with these options. Else a sentence that names both sides, the same
// whatever part of the token is wrong.
std::string refusal_of(const Hello& caller, const WireOptions& options);

// What the caller makes of an answer of another protocol, which it may not be able to read further.
std::string refusal_of(const Answer& answer, Node from, const WireOptions& options);

}  // namespace trireme::strategies::parameter_server::wire
