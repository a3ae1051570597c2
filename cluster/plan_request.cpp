#include "trireme/cluster/plan_request.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "trireme/core/base/error.h"

namespace trireme::cluster {

std::optional<PlanRequest> PlanRequest::from_environment() {
  const char* variable = std::getenv(kPlanVariable);
  if (variable == nullptr) {
    return std::nullopt;
  }
  PlanRequest request;
  std::istringstream words{std::string(variable)};
  words >> request.ranks >> request.ranks_per_node >> request.reply_fd;
  const bool complete = !words.fail() && (words >> std::ws).eof();
  require_usage(complete && request.ranks >= 1 && request.ranks_per_node >= 1 && request.reply_fd >= 0,
                "{}={}: 'RANKS RANKS_PER_NODE FD' expected; `trireme plan` sets it, and nobody else should",
                kPlanVariable, variable);
  return request;
}

std::string PlanRequest::text() const { return fmt::format("{} {} {}", ranks, ranks_per_node, reply_fd); }

bool PlanRequest::reply(const std::string& text) const {
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(reply_fd, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) {
      return false;
    }
    rest.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace trireme::cluster
