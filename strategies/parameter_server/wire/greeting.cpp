#include "trireme/strategies/parameter_server/wire/greeting.h"

#include "trireme/core/base/secret.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

std::string versions_differ(Node one, std::uint32_t its_protocol, Node other, std::uint32_t other_protocol) {
  return fmt::format(
      "{} speaks version {} of the wire's protocol, {} speaks version {}; start all processes from one "
      "build",
      name_of(one), its_protocol, name_of(other), other_protocol);
}

int count_of(Role role, const WireOptions& options) { return role == Role::worker ? options.workers : options.servers; }

}  // namespace

Hello hello_of(const WireOptions& options, std::uint64_t incarnation) {
  return {.protocol = options.protocol,
          .node = options.self,
          .token = options.token,
          .generation = options.generation,
          .incarnation = incarnation};
}

std::string refusal_of(const Hello& caller, const WireOptions& options) {
  const std::string name = name_of(caller.node);
  const std::string self = name_of(options.self);
  if (caller.protocol != options.protocol) {
    return versions_differ(options.self, options.protocol, caller.node, caller.protocol);
  }
  if (!equal_secrets(caller.token, options.token)) {
    return fmt::format("wrong job token (TRIREME_JOB_TOKEN): {} belongs to another job than {}", self, name);
  }
  if (caller.generation != options.generation) {
    return fmt::format(
        "{} belongs to generation {} of the job, {} to generation {}; it was started before the last "
        "restart, or after it",
        self, options.generation, name, caller.generation);
  }
  if (caller.node.index >= count_of(caller.node.role, options)) {
    return fmt::format(
        "{} called, but {} knows of {} workers and {} servers; start all processes with the same "
        "numbers",
        name, self, options.workers, options.servers);
  }
  return caller.node == options.self ? fmt::format("two processes are {}", self) : std::string();
}

std::string refusal_of(const Answer& answer, Node from, const WireOptions& options) {
  return answer.refusal.empty() && answer.protocol != options.protocol
             ? versions_differ(from, answer.protocol, options.self, options.protocol)
             : answer.refusal;
}

}  // namespace trireme::strategies::parameter_server::wire
