// A run that stops, by itself, by a signal or by force, and goes on: the same bits as one that never stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;

class Resume : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }

  std::vector<std::string> command(const std::vector<std::string>& more) const {
    return with(tiny_gpt(text_, metrics_), more);
  }
  std::vector<std::string> saved(const std::vector<std::string>& more) const {
    return with(command({"--checkpoint-dir", checkpoints_}), more);
  }
  std::string hash_without_stop(const std::vector<std::string>& more) const {
    const Outcome outcome = run(command(more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return hash_of(metrics_);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::string checkpoints_ = dir_ / "checkpoints";
};

TEST_F(Resume, OnAnyOtherNumberOfRanks) {
  const std::string expected = hash_without_stop({"--steps", "8"});
  const std::vector<std::pair<int, int>> worlds = {{1, 3}, {3, 2}, {2, 4}, {4, 1}};
  for (const auto& [first, second] : worlds) {
    SCOPED_TRACE(std::to_string(first) + " -> " + std::to_string(second));
    fs::remove_all(checkpoints_);
    const auto part = [&](int ranks, const char* steps) {
      return run(saved({"--steps", steps, "--backend", "local", "--ranks", std::to_string(ranks)}));
    };
    ASSERT_EQ(part(first, "4").code, 0);
    const Outcome rest = part(second, "8");
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_THAT(rest.err, testing::HasSubstr("going on after 4 steps"));
    EXPECT_EQ(hash_of(metrics_), expected);
  }
}

TEST_F(Resume, BetweenProcessesThatShareMemoryInAnyStrategy) {
  const std::string expected = hash_without_stop({"--steps", "8"});
  const auto part = [&](int processes, const char* steps, const std::vector<std::string>& how) {
    return run(launched(processes, saved(with({"--steps", steps}, how))));
  };
  ASSERT_EQ(part(4, "2", {"--strategy", "fully_sharded", "--zero-stage", "3"}).code, 0);
  ASSERT_EQ(part(2, "4", {}).code, 0);
  ASSERT_EQ(part(3, "6", {"--strategy", "fully_sharded", "--zero-stage", "1"}).code, 0);
  const Outcome rest = part(4, "8", {"--strategy", "fully_sharded", "--zero-stage", "2", "--shard-group", "2"});
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, testing::HasSubstr("going on after 6 steps"));
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, InMixedPrecisionWhichSavesF32Values) {
  const std::vector<std::string> bf16 = {"--precision", "bf16"};
  const std::string f32 = hash_without_stop({"--steps", "8"});
  const std::string expected = hash_without_stop(with(bf16, {"--steps", "8"}));
  EXPECT_NE(expected, f32) << "nothing was rounded";
  ASSERT_EQ(run(saved(with(bf16, {"--steps", "4", "--backend", "local", "--ranks", "2"}))).code, 0);
  const Outcome rest = run(launched(3, saved(with(bf16, {"--steps", "8"}))));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, InTheMiddleOfAShuffledEpochWithASchedule) {
  const std::vector<std::string> how = {"--lr-schedule", "cosine", "--warmup-steps", "3", "--steps", "9"};
  const std::string expected = hash_without_stop(how);
  // Stopped by force after a checkpoint in the middle, so that both parts see the same schedule.
  ASSERT_EQ(run(saved(with(how, {"--save-every", "5"}))).code, 0);
  const Outcome rest =
      run(command(with(how, {"--resume", checkpoints_ + "/step-00000005", "--backend", "local", "--ranks", "2"})));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, AfterSigtermWhichSavesAndExits75) {
  const std::string expected = hash_without_stop({"--steps", "150"});
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    SCOPED_TRACE(number);
    fs::remove_all(checkpoints_);
    fs::remove(metrics_);
    Process first(saved({"--steps", "150", "--backend", "local", "--ranks", "2"}));
    ASSERT_TRUE(wait_for_text(metrics_, "\"step\":2,"));
    first.send(number);
    const Outcome stopped = first.wait();
    ASSERT_EQ(stopped.code, 75) << stopped.err;
    EXPECT_EQ(read_metrics(metrics_).back()["event"], "stopped");
    EXPECT_EQ(read_metrics(metrics_).back()["saved"], true);
    const Outcome rest = run(saved({"--steps", "150"}));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(hash_of(metrics_), expected);
    const auto lines = read_metrics(metrics_);  // appended: every step is there
    EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.contains("step"); }), 150);
  }
}

TEST_F(Resume, AfterSigtermToTheLauncherWhichExits75Too) {
  const std::string expected = hash_without_stop({"--steps", "150"});
  fs::remove(metrics_);
  Process first(launched(2, saved({"--steps", "150"})));
  ASSERT_TRUE(wait_for_text(metrics_, "\"step\":2,"));
  first.send(SIGTERM);
  const Outcome stopped = first.wait();
  ASSERT_EQ(stopped.code, 75) << stopped.err;
  const Outcome rest = run(saved({"--steps", "150"}));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, AfterKillInTheMiddleOfProcessesAndLauncher) {
  const std::string expected = hash_without_stop({"--steps", "300"});
  fs::remove(metrics_);
  {
    Process first(launched(2, saved({"--steps", "300", "--save-every", "10"})));
    ASSERT_TRUE(wait_for_text(metrics_, "\"step\":35,"));
  }  // killed with SIGKILL, in whatever it was doing; its workers end with it
  const Outcome rest = run(launched(3, saved({"--steps", "300", "--save-every", "100"})));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, testing::HasSubstr("going on after "));
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, ADamagedCheckpointIsPassedOverAndTheOneBeforeIsUsed) {
  const std::string expected = hash_without_stop({"--steps", "8"});
  ASSERT_EQ(run(saved({"--steps", "6", "--save-every", "3"})).code, 0);
  const std::string shard = checkpoints_ + "/step-00000006/shard-00001-model-00001-of-00001.safetensors";
  ASSERT_TRUE(fs::exists(shard));
  {
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(shard) / 2));
    const char flipped = static_cast<char>(file.peek() ^ 1);
    file.seekp(static_cast<std::streamoff>(fs::file_size(shard) / 2));
    file.put(flipped);
  }
  const Outcome rest = run(saved({"--steps", "8"}));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, testing::HasSubstr("step-00000006"));
  EXPECT_THAT(rest.err, testing::HasSubstr("going on after 3 steps"));
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, AnotherRunsOptionsAreAnErrorThatNamesThem) {
  ASSERT_EQ(run(saved({"--steps", "2"})).code, 0);
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--lanes", "4"}, "--lanes 12, 4 given"},
      {{"--accumulate", "1", "--global-batch", "24"}, "--global-batch 12, 24 given"},
      {{"--seed", "8"}, "--seed 7, 8 given"},
      {{"--order", "sequential"}, "--order shuffled, sequential given"},
      {{"--width", "64"}, "wte"},
  };
  for (const auto& [words, message] : cases) {
    const Outcome outcome = run(with(saved({"--steps", "4"}), words));
    EXPECT_NE(outcome.code, 0) << message;
    EXPECT_THAT(outcome.err, testing::HasSubstr(message));
  }
}

TEST_F(Resume, NoneBeginsAnewAndAPathThatIsNoneIsAnError) {
  const std::string expected = hash_without_stop({"--steps", "3"});
  ASSERT_EQ(run(saved({"--steps", "2"})).code, 0);
  ASSERT_EQ(run(saved({"--steps", "3", "--resume", "none"})).code, 0);
  EXPECT_EQ(hash_of(metrics_), expected);
  const Outcome outcome = run(command({"--steps", "3", "--resume", dir_ / "absent"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, testing::HasSubstr("absent"));
}

TEST_F(Resume, AFinishedRunIsDoneAtOnceAndKeepsItsHash) {
  ASSERT_EQ(run(saved({"--steps", "3"})).code, 0);
  const std::string expected = hash_of(metrics_);
  ASSERT_EQ(run(saved({"--steps", "3"})).code, 0);
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Resume, TimeLimitSavesAndExits75) {
  const Outcome limited = run(saved({"--steps", "1000000", "--time-limit", "1"}));
  EXPECT_EQ(limited.code, 75) << limited.err;
  EXPECT_LT(limited.seconds, 10);
  const Outcome without_directory = run(command({"--steps", "1000000", "--time-limit", "1"}));
  EXPECT_EQ(without_directory.code, 0) << without_directory.err;
  EXPECT_EQ(read_metrics(metrics_).back()["done"], true);
}

TEST_F(Resume, KeepIsHowManyStay) {
  ASSERT_EQ(run(saved({"--steps", "8", "--save-every", "1", "--keep", "2"})).code, 0);
  int manifests = 0;
  for (const auto& entry : fs::recursive_directory_iterator(checkpoints_)) {
    manifests += entry.path().filename() == "manifest.pb" ? 1 : 0;
  }
  EXPECT_EQ(manifests, 2);
}

}  // namespace
}  // namespace trireme::test
