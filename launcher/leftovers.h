// Ending processes that a job has left behind.
#pragma once

#include <string>

#include "trireme/launcher/event_loop.h"

namespace trireme::launcher {

// Sends SIGKILL to every process of this user's whose initial environment holds the job's token, children that left
// their process group by setsid() included, and looks again until none is found or the deadline has passed. A process
// that was started with a cleared environment escapes. Returns how many were killed. Never raises.
int kill_processes_of(const std::string& token, Clock::time_point deadline);

}  // namespace trireme::launcher
