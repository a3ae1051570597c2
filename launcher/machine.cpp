#include "trireme/launcher/machine.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "trireme/core/base/error.h"
#include "trireme/launcher/fd.h"

namespace trireme::launcher {

int usable_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // more cores than a cpu_set_t holds
}

int free_loopback_port() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool ok =
      socket && ::bind(socket.get(), generic, length) == 0 && ::getsockname(socket.get(), generic, &length) == 0;
  require(ok, "trireme run: no free port on the loopback interface{}; is 'lo' up? (`ip link set lo up`)",
          errno_text(errno));
  return ntohs(address.sin_port);
}

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  require(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
          "trireme run: no random bytes for the job token{}", errno_text(errno));
  std::string token;
  for (const unsigned char byte : bytes) {
    token += fmt::format("{:02x}", byte);
  }
  return token;
}

}  // namespace trireme::launcher
