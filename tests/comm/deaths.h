// Processes that die in the middle, and what every survivor must be told about it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "trireme/comm/work.h"

namespace trireme::test {

[[noreturn]] inline void die() {
  kill(getpid(), SIGKILL);
  std::this_thread::sleep_for(std::chrono::hours(1));
  std::abort();
}

// Expects that f() fails within `bound`, naming `rank` alone, with these words about it. Deadlines of collectives are
// longer in tests of this: who learns of the death by one is too late.
template <class F>
void expect_failure_by(int rank, const std::vector<std::string>& words, std::chrono::milliseconds bound, F f) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const comm::CommError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("rank " + std::to_string(rank)), std::string::npos) << message;
    for (const std::string& text : words) {
      EXPECT_NE(message.find(text), std::string::npos) << message;
    }
    EXPECT_EQ(error.details().ranks, std::vector<int>{rank}) << message;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, bound);
}

}  // namespace trireme::test
