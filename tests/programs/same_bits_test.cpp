// One training run has the same bits whatever its shape: ranks, threads, processes.
#include <gtest/gtest.h>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

class SameBits : public testing::Test {
 protected:
  void SetUp() override {
    write_text_file(text_);
    const Outcome alone = run(command());
    ASSERT_EQ(alone.code, 0) << alone.err;
    expected_ = hash_of(metrics_);
    ASSERT_EQ(expected_.size(), 16u);
    EXPECT_EQ(alone.out, "params_hash " + expected_ + "\n");
    losses_ = loss_bits();
  }

  std::vector<std::string> command() const { return with(tiny_gpt(text_, metrics_), {"--steps", "6"}); }

  std::vector<std::string> loss_bits() const {
    std::vector<std::string> bits;
    for (const auto& line : read_metrics(metrics_)) {
      if (line.contains("step")) {
        bits.push_back(line["loss_bits"]);
      }
    }
    return bits;
  }

  void expect_same(const std::vector<std::string>& words) {
    const Outcome outcome = run(words);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(hash_of(metrics_), expected_);
    EXPECT_EQ(loss_bits(), losses_);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::string expected_;
  std::vector<std::string> losses_;
};

TEST_F(SameBits, WithTwoThreads) { expect_same(with(command(), {"--threads", "2"})); }

TEST_F(SameBits, WithRanksAsThreads) {
  for (const char* ranks : {"2", "3", "5"}) {
    SCOPED_TRACE(ranks);
    expect_same(with(command(), {"--backend", "local", "--ranks", ranks}));
  }
}

TEST_F(SameBits, OnTwoThreeAndFourProcesses) {
  for (const int processes : {2, 3, 4}) {
    SCOPED_TRACE(processes);
    expect_same(launched(processes, command()));
    EXPECT_EQ(read_metrics(metrics_).back()["backend"], "shm");
    EXPECT_EQ(read_metrics(metrics_).front()["world_size"], processes);
  }
}

TEST_F(SameBits, WithActivationCheckpointing) {
  const auto checkpointed = with(command(), {"--activation-checkpointing"});
  expect_same(checkpointed);
  expect_same(launched(2, checkpointed));
}

TEST_F(SameBits, AnotherSeedGivesOtherBits) {
  ASSERT_EQ(run(with(command(), {"--seed", "8"})).code, 0);
  EXPECT_NE(hash_of(metrics_), expected_);
}

TEST_F(SameBits, OfTheFastOrderOnOneRankAndInEachRunOfThree) {
  const auto fast = with(command(), {"--reduce-order", "fast"});
  expect_same(fast);
  ASSERT_EQ(run(launched(3, fast)).code, 0);
  expected_ = hash_of(metrics_);
  losses_ = loss_bits();
  expect_same(launched(3, fast));
  expect_same(with(fast, {"--backend", "local", "--ranks", "3"}));
}

TEST_F(SameBits, WithAccumulationWhateverTheRanks) {
  const auto accumulated = with(tiny_gpt(text_, metrics_), {"--steps", "4", "--lanes", "4", "--accumulate", "3"});
  ASSERT_EQ(run(accumulated).code, 0);
  expected_ = hash_of(metrics_);
  losses_ = loss_bits();
  expect_same(with(accumulated, {"--backend", "local", "--ranks", "3"}));
}

}  // namespace
}  // namespace trireme::test
