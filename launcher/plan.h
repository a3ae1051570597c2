// `trireme plan`: what a job will take, before it starts.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// `arguments` is what follows "trireme plan". Starts one process of the program, which answers instead of training
// (cluster/plan_request.h), and shows the answer. Returns 0 if the job fits, 1 if not, 2 if the program refused its
// options. Raises Error. REQUIRES: a single-threaded process.
int run_plan(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
