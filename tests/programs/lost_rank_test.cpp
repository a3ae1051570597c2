// One of three ranks of a training run is lost: the others end by themselves, in time, and say who it was. Nobody
// watches over these ranks: each is started alone, as a scheduler would that keeps its hands off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>

#include "tests/programs/free_port.h"
#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/core/base/host.h"

namespace trireme::test {
namespace {

using Clock = std::chrono::steady_clock;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kRanks = 3;
constexpr int kLost = 1;

class LostRank : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (backend() == "gloo" && !comm::has_gloo()) {
      GTEST_SKIP() << "this build has no Gloo (Debian: libgloo-dev)";
    }
    write_text_file(text_);
  }

  static std::string backend() { return GetParam(); }

  // Blocks until they train.
  void start(const std::vector<std::string>& more) {
    std::vector<std::string> command = with(tiny_gpt(text_, metrics_), {"--steps", "1000000", "--backend", backend()});
    if (backend() == "gloo") {
      command = with(command, {"--interface", "lo"});
    }
    const std::string port = std::to_string(free_port());
    for (int rank = 0; rank < kRanks; ++rank) {
      ranks_.push_back(std::make_unique<Process>(
          with(command, more), std::map<std::string, std::string>{{"RANK", std::to_string(rank)},
                                                                  {"LOCAL_RANK", std::to_string(rank)},
                                                                  {"WORLD_SIZE", std::to_string(kRanks)},
                                                                  {"LOCAL_WORLD_SIZE", std::to_string(kRanks)},
                                                                  {"MASTER_ADDR", "127.0.0.1"},
                                                                  {"MASTER_PORT", port}}));
    }
    ASSERT_TRUE(wait_for_text(metrics_, "\"step\":3"));
  }

  // The others end by then, each with one line that names the rank, the host, and an operation.
  void expect_named(Clock::time_point until, const char* why) {
    for (int rank = 0; rank < kRanks; ++rank) {
      if (rank != kLost) {
        const Outcome outcome = ranks_[static_cast<std::size_t>(rank)]->wait();
        EXPECT_EQ(outcome.code, 1) << outcome.err;
        EXPECT_THAT(outcome.err,
                    AllOf(HasSubstr("rank " + std::to_string(kLost)), HasSubstr(host_name()),
                          HasSubstr(" on rank " + std::to_string(rank)), HasSubstr("step "), HasSubstr(why)));
      }
    }
    EXPECT_LT(Clock::now(), until);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::vector<std::unique_ptr<Process>> ranks_;
};

TEST_P(LostRank, ThatIsKilledIsNamedWithinASecondAndAHalf) {
  start({});
  ranks_[kLost]->send(SIGKILL);
  expect_named(Clock::now() + std::chrono::milliseconds(1500) * kPatience, "dead");
}

TEST_P(LostRank, ThatHangsIsNamedAtTheDeadline) {
  start({"--timeout", "1"});
  ranks_[kLost]->send(SIGSTOP);
  expect_named(Clock::now() + std::chrono::milliseconds(2500) * kPatience, "the deadline of 1000 ms passed");
}

INSTANTIATE_TEST_SUITE_P(Backends, LostRank, testing::Values("shm", "gloo"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace trireme::test
