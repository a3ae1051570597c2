#include "trireme/comm/environment/job_store.h"

#include <fmt/ranges.h>

#include "trireme/comm/environment/meeting.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

JobStore open_job_store(const ProcessRole& role, std::chrono::milliseconds timeout) {
  const Variables variables = Variables::of_process();
  const Place place = place_in_role(variables, role);
  std::optional<MeetingPoint> point = find_meeting_point(place, variables.text("TRIREME_JOB_TOKEN"));
  require(point.has_value(),
          "start: {} has started workers and parameter servers but names no place where they can meet; {}",
          place.launcher, how_to_name_one(place));
  point->ports = derived_ports(fmt::format("servers/{}/{}", place.job, fmt::join(point->ports, ",")));
  const bool first = !role.server && role.index == 0;
  const auto meeting = std::make_shared<Meeting>(first ? 0 : 1, role.workers + role.servers, *point,
                                                 first ? serve(*point) : nullptr, timeout);
  return {{meeting, &meeting->store()}, point->token};
}

}  // namespace trireme::comm
