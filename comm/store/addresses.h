// TCP sockets by host name: listening, and connecting until a deadline.
#pragma once

#include <chrono>
#include <string>

namespace trireme::comm {

// A listening, non-blocking socket; `port` 0 takes a free one. An empty host means every interface. Raises Error.
int listen_on(const std::string& host, int port);
int port_of(int socket);
// A connected socket without delays, or -1 with errno set: one attempt. Raises Error if the host has no address.
int connect_once(const std::string& host, int port, std::chrono::steady_clock::time_point deadline);
// As above. Tries again while nobody listens yet; raises Error naming the address at the
// deadline.
int connect_until(const std::string& host, int port, std::chrono::steady_clock::time_point deadline);

}  // namespace trireme::comm
