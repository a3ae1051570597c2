// Fully sharded training as a user starts it: mirrored training's bits, files and answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;

class Sharded : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }

  std::vector<std::string> gpt(const std::vector<std::string>& more) const {
    return with(tiny_gpt(text_, metrics_), more);
  }
  std::string hash_after(const std::vector<std::string>& words) const {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return hash_of(metrics_);
  }
  static std::vector<std::string> sharded(const std::string& stage, const std::vector<std::string>& more = {}) {
    return with({"--strategy", "fully_sharded", "--zero-stage", stage}, more);
  }
  static std::vector<std::string> threads(const std::string& ranks) { return {"--backend", "local", "--ranks", ranks}; }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(Sharded, HasTheBitsOfMirroredTrainingInEveryStageOnProcesses) {
  const std::string expected = hash_after(gpt({"--steps", "5"}));
  for (const char* stage : {"1", "2", "3"}) {
    EXPECT_EQ(hash_after(with(gpt({"--steps", "5"}), sharded(stage))), expected) << stage;
    EXPECT_EQ(hash_after(launched(3, with(gpt({"--steps", "5"}), sharded(stage)))), expected) << stage;
  }
  const auto hybrid = sharded("2", {"--shard-group", "2", "--activation-checkpointing"});
  EXPECT_EQ(hash_after(launched(4, with(gpt({"--steps", "5"}), hybrid))), expected);
  const auto spread = sharded("3", {"--reshard-after-forward", "2", "--cpu-offload"});
  EXPECT_EQ(hash_after(with(with(gpt({"--steps", "5"}), spread), threads("4"))), expected);
  if (comm::has_gloo()) {
    const auto gloo = sharded("3", {"--backend", "gloo", "--reshard-after-forward", "false", "--accumulate", "1"});
    EXPECT_EQ(hash_after(launched(2, with(gpt({"--steps", "5"}), gloo))), expected);
  }
}

TEST_F(Sharded, TrainsInMixedPrecision) {
  const std::vector<std::string> bf16 = gpt({"--steps", "4", "--precision", "bf16"});
  const std::string expected = hash_after(bf16);
  EXPECT_EQ(hash_after(launched(3, with(bf16, sharded("2")))), expected);
  EXPECT_EQ(hash_after(with(with(bf16, sharded("3")), threads("2"))), expected);
  EXPECT_EQ(hash_after(with(gpt({"--steps", "4"}), sharded("1", {"--param-dtype", "bf16"}))), expected);
}

TEST_F(Sharded, GoesOnFromAnyCheckpointAndSavesForAny) {
  const std::string expected = hash_after(gpt({"--steps", "9"}));
  const std::string saved = dir_ / "checkpoints";
  const auto part = [&](const char* steps, const std::vector<std::string>& how) {
    return run(with(gpt({"--steps", steps, "--checkpoint-dir", saved}), how));
  };
  ASSERT_EQ(part("3", with(sharded("3"), threads("3"))).code, 0);
  ASSERT_EQ(part("5", threads("2")).code, 0);
  const auto four = gpt({"--steps", "7", "--checkpoint-dir", saved});
  ASSERT_EQ(run(launched(4, with(four, sharded("2", {"--shard-group", "2"})))).code, 0);
  const Outcome last = part("9", sharded("1"));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_THAT(last.err, testing::HasSubstr("going on after 7 steps"));
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Sharded, ExportsAndBeginsWithWholeModels) {
  const std::string mirrored = dir_ / "mirrored.safetensors";
  const std::string from_shards = dir_ / "sharded.safetensors";
  ASSERT_EQ(run(gpt({"--steps", "3", "--export", mirrored})).code, 0);
  ASSERT_EQ(run(with(with(gpt({"--steps", "3", "--export", from_shards}), sharded("3")), threads("3"))).code, 0);
  EXPECT_EQ(read_text(from_shards), read_text(mirrored));
  const std::string expected = hash_after(gpt({"--steps", "2", "--init", mirrored}));
  EXPECT_EQ(hash_after(with(with(gpt({"--steps", "2", "--init", mirrored}), sharded("3")), threads("3"))), expected);
  EXPECT_EQ(hash_after(launched(2, with(gpt({"--steps", "2", "--init", mirrored}), sharded("1")))), expected);
}

TEST_F(Sharded, SamplesTheSameText) {
  const auto sample = gpt({"--steps", "2", "--sample", "20"});
  EXPECT_EQ(run(with(with(sample, sharded("3")), threads("3"))).out, run(sample).out);
}

TEST_F(Sharded, ClassifiersAreMeasuredOnTestSetsOfAnySize) {
  write_idx_files(dir_.path(), 48, 7);
  const std::vector<std::string> classifier = {
      "train_classifier", "--data", dir_.path(), "--epochs", "2",          "--lanes", "6",
      "--global-batch",   "12",     "--metrics", metrics_,   "--progress", "off"};
  const std::string expected = hash_after(classifier);
  const auto accuracies = [&] {
    std::vector<double> all;
    for (const auto& line : read_metrics(metrics_)) {
      if (line.contains("accuracy")) {
        all.push_back(line["accuracy"]);
      }
    }
    return all;
  };
  const std::vector<double> measured = accuracies();
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_EQ(hash_after(with(with(classifier, sharded("3")), threads("3"))), expected);
  EXPECT_EQ(accuracies(), measured);
  EXPECT_EQ(hash_after(launched(4, with(classifier, sharded("2")))), expected);
  EXPECT_EQ(accuracies(), measured);
}

TEST_F(Sharded, OptionsThatDoNotFitTheWorldAreUsageErrors) {
  const Outcome group = run(with(with(gpt({}), sharded("3", {"--shard-group", "2"})), threads("3")));
  EXPECT_EQ(group.code, 2);
  EXPECT_THAT(group.err, testing::HasSubstr("--shard-group 2 given for 3 ranks"));
  const Outcome spread = run(with(gpt({}), sharded("2", {"--reshard-after-forward", "2"})));
  EXPECT_EQ(spread.code, 2);
  EXPECT_THAT(spread.err, testing::HasSubstr("only stage 3"));
}

}  // namespace
}  // namespace trireme::test
