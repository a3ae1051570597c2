#include "trireme/training/status_signal.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <condition_variable>

#include "trireme/comm/environment.h"

namespace trireme::training {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// What was printed, and a way to wait for it.
class Answers {
 public:
  StatusSignal::Print printer() {
    return [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      texts_.push_back(text);
      changed_.notify_all();
    };
  }
  std::string wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return texts_.size() >= count; }));
    return texts_.empty() ? "" : texts_.back();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
};

TEST(StatusSignal, TellsWhatEveryRankOfTheProcessDoes) {
  Answers answers;
  StatusSignal signal(answers.printer());
  comm::run_local(2, [&](comm::World world) {
    const auto listed = signal.list(world.communicator());
    world->barrier({.name = "start"}).wait();
    enter_phase(world.rank() == 0 ? Phase::backward : Phase::loading_data);
    enter_step(5);
    world->barrier({.name = "marked"}).wait();
    if (world.rank() == 0) {
      kill(getpid(), SIGUSR2);
      const std::string text = answers.wait_for(1);
      EXPECT_THAT(text, ContainsRegex("rank 0 of 2 on .* \\(pid [0-9]+\\), backend local: in backward since 0"));
      EXPECT_THAT(text, HasSubstr("(step 5)\n"));
      EXPECT_THAT(text, HasSubstr("  barrier #0 \"start\" completed "));
      EXPECT_THAT(text, HasSubstr("rank 1 of 2 on "));
    }
    world->barrier().wait();
  });
  kill(getpid(), SIGUSR2);
  EXPECT_THAT(answers.wait_for(2), HasSubstr("no rank yet, or no rank any more"));
}

TEST(StatusSignal, GivesTheHandlerFromBeforeBack) {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction before {};
  sigaction(SIGUSR2, &ignore, &before);
  { const StatusSignal signal; }
  struct sigaction after {};
  sigaction(SIGUSR2, &before, &after);
  EXPECT_EQ(after.sa_handler, SIG_IGN);
}

}  // namespace
}  // namespace trireme::training
