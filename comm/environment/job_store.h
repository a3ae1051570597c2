// The store that all processes of a job with parameter servers share: worker 0 serves it, workers and servers find each
// other there.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "trireme/comm/environment/role.h"
#include "trireme/comm/store/store.h"

namespace trireme::comm {

struct JobStore {
  std::shared_ptr<Store> store;  // keeps on worker 0 what serves it
  std::string token;             // what this job's processes know and no other's; may be empty
};

// Blocks until worker 0 serves, at most `timeout`. The store is on worker 0's host at ports that follow from the ranks'
// meeting point (meeting.h), so both may be open at a time. Raises Error if the environment names no such place, or
// nobody answers there.
JobStore open_job_store(const ProcessRole& role, std::chrono::milliseconds timeout);

}  // namespace trireme::comm
