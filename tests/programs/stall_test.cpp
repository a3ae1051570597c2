// What a person sees of programs that run, stall or are asked: real processes, real signals.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/programs/command.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

const std::vector<std::string> kSmall = {"train_gpt", "--layers", "1",         "--heads",    "1",
                                         "--width",   "16",       "--context", "8",          "--global-batch",
                                         "4",         "--lanes",  "2",         "--progress", "off"};

TEST(Status, SigUsr2TellsWhatARankDoesAndTheRunGoesOn) {
  const TempDir folder;
  const std::string metrics = folder / "metrics";
  Process program(with(kSmall, {"--backend", "local", "--ranks", "2", "--steps", "1000000", "--metrics", metrics}));
  ASSERT_TRUE(wait_for_text(metrics, "\"step\":3,"));
  program.send(SIGUSR2);
  const std::size_t seen = read_metrics(metrics).size();
  ASSERT_TRUE(wait_for_text(metrics, "\"step\":" + std::to_string(seen + 20) + ","));
  program.send(SIGTERM);
  const Outcome outcome = program.wait();
  EXPECT_EQ(outcome.code, 1) << outcome.err;  // stopped without a checkpoint directory
  EXPECT_THAT(outcome.err,
              ContainsRegex("rank 0 of 2 on [^ ]+ \\(pid " + std::string("[0-9]+") + "\\), backend local: "));
  EXPECT_THAT(outcome.err, ContainsRegex("\\(step [0-9]+\\)"));
  EXPECT_THAT(outcome.err, HasSubstr("rank 1 of 2 on "));
  EXPECT_THAT(outcome.err, HasSubstr("\"bucket 0 (transformer."));
}

TEST(Status, LauncherPassesSigUsr2OnToEveryRank) {
  const TempDir folder;
  const std::string metrics = folder / "metrics";
  std::vector<std::string> words = {"trireme", "run", "--nproc-per-node", "2", "--"};
  words = with(words, with(kSmall, {"--steps", "1000000", "--metrics", metrics}));
  Process job(words);
  ASSERT_TRUE(wait_for_text(metrics, "\"step\":3,"));
  job.send(SIGUSR2);
  const std::size_t seen = read_metrics(metrics).size();
  ASSERT_TRUE(wait_for_text(metrics, "\"step\":" + std::to_string(seen + 20) + ","));
  job.send(SIGTERM);
  const Outcome outcome = job.wait();
  EXPECT_THAT(outcome.err, ContainsRegex("rank 0 of 2 on [^ ]+ \\(pid [0-9]+\\), backend shm: "));
  EXPECT_THAT(outcome.err, ContainsRegex("\\[rank 1\\] rank 1 of 2 on [^ ]+ \\(pid [0-9]+\\), backend shm: "));
}

TEST(Stall, ARankThatIsStoppedIsNamedInTheWarningAndInTheError) {
  std::vector<std::string> words = {"trireme", "run",      "--nproc-per-node",   "2", "--max-restarts",
                                    "0",       "--inject", "stop:rank=1,step=3", "--"};
  words = with(words, with(kSmall, {"--steps", "1000000", "--timeout", "1"}));
  const Outcome outcome = Process(words).wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err,
              ContainsRegex("warning: all_reduce_parts #[0-9]+ \"bucket 0 \\(transformer\\.[^\n]* on rank 0: "
                            "waiting for rank 1 on [^ ]+ \\(pid [0-9]+\\), which is stopped \\(state T"));
  EXPECT_THAT(outcome.err,
              ContainsRegex("error: rank 0 on [^\n]*step 3\\): the deadline of 1000 ms passed; waiting for rank 1 "
                            "on [^\n]*is stopped"));
}

}  // namespace
}  // namespace trireme::test
