// The name of the machine that this process runs on, for messages.
#pragma once

#include <string>

namespace trireme {

// As gethostname() gives it; "unknown host" if it does not. Never raises.
std::string host_name();

}  // namespace trireme
