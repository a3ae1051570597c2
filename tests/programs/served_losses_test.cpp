// Workers and servers that die, never come, or do not belong to the job: what docs/parameter_server.md promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/programs/served_job.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using Words = std::vector<std::string>;

class ServedLosses : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }

  Words gpt(const Words& more = {}) const {
    return with(tiny_gpt(text_, metrics_), with({"--strategy", "parameter_server"}, more));
  }
  // Of a job that runs until it is stopped.
  Words endless(const Words& more = {}) const { return gpt(with({"--steps", "1000000"}, more)); }
  void start(ServedJob& job, const Words& words) const {
    job.start_all(words);
    ASSERT_TRUE(wait_for_text(metrics_, "\"step\":3"));
  }
  std::size_t steps() const { return read_metrics(metrics_).size(); }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(ServedLosses, AWorkerInSyncEndsTheOthersByName) {
  ServedJob job(2, 3);
  start(job, endless());
  const auto killed = Clock::now();
  job.worker(1).send(SIGKILL);
  for (const int rank : {0, 2}) {
    const Outcome outcome = job.worker(rank).wait();
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("rank " + std::to_string(rank)),
                                   testing::AnyOf(HasSubstr("worker 1 was lost"), HasSubstr("rank 1"))));
  }
  EXPECT_LT(Clock::now() - killed, milliseconds(2500) * kPatience);
  for (const int index : {0, 1}) {
    EXPECT_EQ(job.server(index).wait().code, 0);
  }
}

TEST_F(ServedLosses, AWorkerInSspHoldsNobodyUpForLongerThanTheLease) {
  ServedJob job(2, 3);
  start(job, endless({"--consistency", "ssp", "--staleness", "1"}));
  job.worker(1).send(SIGKILL);
  job.worker(1).wait();
  std::this_thread::sleep_for(milliseconds(2000) * kPatience);
  const std::size_t before = steps();
  std::this_thread::sleep_for(milliseconds(200) * kPatience);
  EXPECT_GT(steps(), before);
  job.worker(0).send(SIGTERM);
  job.worker(2).send(SIGTERM);
  for (const int rank : {0, 2}) {
    EXPECT_THAT(job.worker(rank).wait().err, testing::Not(HasSubstr("error"))) << rank;
  }
  for (const int index : {0, 1}) {
    const Outcome outcome = job.server(index).wait();
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("worker 1"));
  }
}

TEST_F(ServedLosses, AServerEndsAllWorkersByName) {
  ServedJob job(2, 2);
  start(job, endless());
  const auto killed = Clock::now();
  job.server(1).send(SIGKILL);
  for (const int rank : {0, 1}) {
    const Outcome outcome = job.worker(rank).wait();
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("server 1 was lost"));
  }
  EXPECT_LT(Clock::now() - killed, milliseconds(2000) * kPatience);
  EXPECT_EQ(job.server(0).wait().code, 0);
}

TEST_F(ServedLosses, OfOneThatTheLauncherWatchesAreNamedAndTheJobBeginsAgain) {
  const Outcome alone = run(with(tiny_gpt(text_, metrics_), {"--steps", "6"}));
  const std::string expected = hash_of(metrics_);
  const Outcome outcome = run(served(2, 2, gpt({"--steps", "6"}), {"--inject", "kill:rank=1,step=3"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rank 1 failed in step 3"));
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(ServedLosses, AServerThatNeverCameIsNamedAtTheDeadline) {
  ServedJob job(2, 1);
  const Words words = gpt({"--steps", "2", "--timeout", "1"});
  job.start_server(0, words);
  job.start_worker(0, words);
  const Outcome outcome = job.worker(0).wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("server 1"), HasSubstr("within 1000 ms"), HasSubstr("has it started?")));
}

TEST_F(ServedLosses, AWorkerThatNeverCameIsNamedAtTheDeadline) {
  ServedJob job(1, 2);
  const Words words = gpt({"--steps", "2", "--timeout", "1"});
  job.start_server(0, words);
  job.start_worker(0, words);
  const Outcome outcome = job.worker(0).wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("rank 1"));
  const Outcome server = job.server(0).wait();
  EXPECT_EQ(server.code, 1);
  EXPECT_THAT(server.err, AllOf(HasSubstr("server 0 on "), HasSubstr("has not said hello within 1000 ms")));
}

TEST_F(ServedLosses, AStrangersTokenIsRefused) {
  ServedJob job(1, 1);
  const Words words = gpt({"--steps", "2", "--timeout", "2"});
  job.start_worker(0, words);
  job.start_server(0, words, {{"TRIREME_JOB_TOKEN", "another"}});
  const Outcome server = job.server(0).wait();
  EXPECT_EQ(server.code, 1);
  EXPECT_THAT(server.err, AllOf(HasSubstr("server 0 on "), HasSubstr("token")));
}

TEST_F(ServedLosses, AServerThatWasStartedOtherwiseRefusesByName) {
  ServedJob job(1, 1);
  job.start_worker(0, gpt({"--steps", "2"}));
  job.start_server(0, gpt({"--steps", "2", "--layers", "3"}));
  const auto begin = Clock::now();
  const Outcome worker = job.worker(0).wait();
  EXPECT_EQ(worker.code, 1);
  EXPECT_THAT(worker.err, HasSubstr("worker 0 and server 0 were not started alike"));
  EXPECT_LT(Clock::now() - begin, milliseconds(2000) * kPatience);
  job.server(0).send(SIGKILL);
}

}  // namespace
}  // namespace trireme::test
