// Runs a body in several forked processes and judges how each has ended.
#pragma once

#include <functional>
#include <string>

namespace trireme::test {

struct ProcessOptions {
  int killed = -1;   // this process is expected to end by SIGKILL
  int stopped = -1;  // this one stops itself, and is killed when the others have ended
};

// `directory` is empty at first, the same for all, and removed in the end.
using ProcessBody = std::function<void(int index, const std::string& directory)>;

// Forks, so no other thread may be running; returns when all have ended. Failed expectations and exceptions of any
// process become failures of the test. Those that have not ended after a minute are killed, and fail the test.
// `word`: what a process is called in messages.
void run_forked(int count, const ProcessBody& body, const ProcessOptions& options = {},
                const std::string& word = "process");

}  // namespace trireme::test
