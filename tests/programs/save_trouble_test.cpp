// Saving that fails in mid-training, a directory that another job uses, and damage that only one rank meets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/programs/samples.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SaveTrouble : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }

  std::vector<std::string> saved(const std::string& directory, const std::vector<std::string>& more) const {
    return with(tiny_gpt(text_, metrics_), with({"--checkpoint-dir", directory, "--save-every", "1"}, more));
  }
  std::string undisturbed(const std::string& steps) const {
    const std::string metrics = dir_ / "undisturbed.jsonl";
    EXPECT_EQ(run(with(tiny_gpt(text_, metrics), {"--steps", steps})).code, 0);
    return hash_of(metrics);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
};

// Room for two checkpoints (of about 420 KB) and a half.
constexpr std::size_t kDiskBytes = 1 << 20;

TEST_F(SaveTrouble, AFullDiskStopsTheRunWithTheNumbersAndTheLastCheckpointStaysGood) {
  const SmallDisk disk(kDiskBytes);
  if (!disk.problem().empty()) {
    GTEST_SKIP() << disk.problem();
  }
  for (const int ranks : {1, 2}) {
    SCOPED_TRACE(ranks);
    const std::string checkpoints = disk.path() + "/run" + std::to_string(ranks);
    const Outcome full = run(launched(ranks, saved(checkpoints, {"--steps", "20", "--keep", "9"})));
    ASSERT_EQ(full.code, 1) << full.err;
    EXPECT_THAT(full.err, HasSubstr("saving the checkpoint of step 3 failed on rank "));
    EXPECT_THAT(full.err, HasSubstr("errno 28: No space left on device"));
    EXPECT_THAT(full.err, HasSubstr("the file system at " + disk.path() + " has "));
    EXPECT_THAT(full.err, HasSubstr(" bytes are missing; free space on that file system"));
    EXPECT_THAT(full.err, HasSubstr("The one of step 2 is safe"));
    EXPECT_FALSE(fs::exists(checkpoints + "/step-00000003"));
    const Outcome rest = run(with(tiny_gpt(text_, metrics_), {"--steps", "20", "--resume", checkpoints}));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_THAT(rest.err, HasSubstr("going on after 2 steps"));
    EXPECT_EQ(hash_of(metrics_), undisturbed("20"));
    fs::remove_all(checkpoints);
  }
}

TEST_F(SaveTrouble, WithContinueAFullDiskIsAWarningAndTheLastCheckpointStaysGood) {
  const SmallDisk disk(kDiskBytes);
  if (!disk.problem().empty()) {
    GTEST_SKIP() << disk.problem();
  }
  const std::string checkpoints = disk.path() + "/run";
  const std::vector<std::string> how = {"--steps", "12", "--keep", "9", "--on-save-error", "continue"};
  const Outcome full = run(saved(checkpoints, how));
  ASSERT_EQ(full.code, 0) << full.err;
  EXPECT_THAT(full.err, HasSubstr("going on (--on-save-error continue)"));
  EXPECT_THAT(full.err, HasSubstr("the file system at " + disk.path() + " has "));
  EXPECT_EQ(hash_of(metrics_), undisturbed("12"));
  EXPECT_EQ(read_metrics(metrics_).back()["saved_step"], 2);
  // Space again, in mid-training or after it: saving goes on.
  fs::remove_all(checkpoints + "/step-00000001");
  const Outcome rest = run(saved(checkpoints, {"--steps", "14", "--keep", "1"}));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("going on after 2 steps"));
  EXPECT_EQ(hash_of(metrics_), undisturbed("14"));
}

TEST_F(SaveTrouble, AFullDiskCanBeRehearsed) {
  const std::string expected = undisturbed("30");
  for (const std::string choice : {"stop", "continue"}) {
    SCOPED_TRACE(choice);
    const std::string checkpoints = dir_ / choice;
    std::vector<std::string> job = launched(2, saved(checkpoints, {"--steps", "30", "--on-save-error", choice}));
    const std::vector<std::string> fault = {"--inject", "disk_full:rank=1,step=6"};
    job.insert(job.begin() + 2, fault.begin(), fault.end());
    const Outcome outcome = run(job);
    ASSERT_EQ(outcome.code, 0) << outcome.err;  // stop: started again, with a disk that is not full
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device): the file system at "));
    EXPECT_THAT(outcome.err, HasSubstr(choice == "stop" ? "going on after " : "(--on-save-error continue)"));
    EXPECT_EQ(hash_of(metrics_), expected);
    fs::remove(metrics_);
  }
}

TEST_F(SaveTrouble, ASecondJobIsRefusedAndTheFirstOneNamedAndNotDisturbed) {
  const std::string checkpoints = dir_ / "checkpoints";
  Process first(saved(checkpoints, {"--steps", "1000000"}));
  ASSERT_TRUE(wait_for_text(metrics_, "\"saved_step\":1"));
  const Outcome second = run(with(tiny_gpt(text_, dir_ / "second.jsonl"),
                                  {"--checkpoint-dir", checkpoints, "--save-every", "1", "--steps", "5"}));
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, HasSubstr("is in use by process " + std::to_string(first.pid())));
  EXPECT_THAT(second.err, HasSubstr("another --checkpoint-dir"));
  first.send(SIGTERM);
  const Outcome stopped = first.wait();
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_THAT(stopped.err, testing::Not(HasSubstr("checkpoint skipped")));
}

TEST_F(SaveTrouble, DamageThatOneRankMeetsSendsAllToTheCheckpointBefore) {
  const std::string checkpoints = dir_ / "checkpoints";
  const std::vector<std::string> sharded = {"--strategy", "fully_sharded", "--keep", "3"};
  ASSERT_EQ(run(launched(2, saved(checkpoints, with(sharded, {"--steps", "6"})))).code, 0);
  const std::string shard = checkpoints + "/step-00000006/shard-00002-model-00001-of-00001.safetensors";
  {
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-7, std::ios::end);
    file.put('x');
  }
  const Outcome rest = run(launched(2, saved(checkpoints, with(sharded, {"--steps", "8"}))));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("do not match their checksum"));
  EXPECT_THAT(rest.err, HasSubstr("going on after 5 steps"));
  EXPECT_EQ(hash_of(metrics_), undisturbed("8"));
}

}  // namespace
}  // namespace trireme::test
