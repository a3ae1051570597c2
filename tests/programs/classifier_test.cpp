// train_classifier on images: it learns, measures itself after each epoch, and has the same bits on any ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

class Classifier : public testing::Test {
 protected:
  void SetUp() override { write_idx_files(dir_.path(), 200, 50); }

  std::vector<std::string> command(const std::vector<std::string>& more) const {
    return with({"train_classifier", "--data", dir_.path(), "--progress", "off", "--metrics", metrics_, "--seed", "1"},
                more);
  }
  std::vector<nlohmann::json> epochs() const {
    std::vector<nlohmann::json> lines = read_metrics(metrics_);
    std::erase_if(lines, [](const auto& line) { return !line.contains("epoch"); });
    return lines;
  }

  TempDir dir_;
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(Classifier, SimpleNetLearnsTheImagesOfADirectory) {
  const Outcome outcome = run(command({"--epochs", "4", "--global-batch", "32"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_EQ(epochs().size(), 4u);
  EXPECT_FALSE(epochs().front().contains("step"));
  EXPECT_EQ(epochs().back()["epoch"], 3);
  EXPECT_GT(epochs().back()["accuracy"].get<double>(), 0.95);
  const auto lines = read_metrics(metrics_);
  EXPECT_EQ(lines.size(), 4u * 7 + 4 + 1);  // 200 items are 7 steps of 32, the last short
  EXPECT_EQ(lines[0]["examples"], 32);
  EXPECT_EQ(lines[6]["examples"], 200 - 6 * 32);
  EXPECT_GT(lines.back()["examples_per_s"].get<double>(), 0);
}

TEST_F(Classifier, ShortLastBatchesHaveTheSameBitsOnAnyRanks) {
  // 200 items in batches of 33 end with 2 items: ranks beyond the second have nothing in that step.
  const std::vector<std::string> how = {"--epochs", "2", "--global-batch", "33", "--lanes", "11"};
  ASSERT_EQ(run(command(how)).code, 0);
  const std::string expected = hash_of(metrics_);
  const double accuracy = epochs().back()["accuracy"];
  for (const char* ranks : {"2", "3", "4", "7"}) {
    SCOPED_TRACE(ranks);
    const Outcome outcome = run(command(with(how, {"--backend", "local", "--ranks", ranks})));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(hash_of(metrics_), expected);
    EXPECT_EQ(epochs().back()["accuracy"].get<double>(), accuracy);
  }
}

TEST_F(Classifier, FilesMayBeNamedOneByOneAndTheTestSetLeftOut) {
  const std::string images = dir_ / "train-images-idx3-ubyte";
  const std::string labels = dir_ / "train-labels-idx1-ubyte";
  const Outcome outcome =
      run({"train_classifier", "--data", images, labels, "--progress", "off", "--steps", "3", "--metrics", metrics_});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_metrics(metrics_).size(), 4u);
}

TEST_F(Classifier, DrawsItsOwnDigitsWithoutData) {
  const Outcome outcome = run({"train_classifier", "--steps", "5", "--progress", "off", "--metrics", metrics_});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto lines = read_metrics(metrics_);
  EXPECT_LT(lines[4]["loss"].get<double>(), lines[0]["loss"].get<double>());
}

TEST_F(Classifier, SynchronizedBatchNormTrainsLikeOneRankWithTheWholeBatch) {
  const std::vector<std::string> how = {"--model", "resnet", "--steps", "3", "--global-batch", "6", "--lanes"};
  const auto losses = [this] {
    std::vector<double> values;
    for (const auto& line : read_metrics(metrics_)) {
      if (line.contains("step")) {
        values.push_back(line["loss"]);
      }
    }
    return values;
  };
  ASSERT_EQ(run(command(with(how, {"1"}))).code, 0);
  const std::vector<double> whole = losses();
  for (const int ranks : {2, 3}) {
    SCOPED_TRACE(ranks);
    const auto parts = command(with(how, {std::to_string(ranks), "--sync-batch-norm"}));
    const Outcome threads = run(with(parts, {"--backend", "local", "--ranks", std::to_string(ranks)}));
    ASSERT_EQ(threads.code, 0) << threads.err;
    const std::string hash = hash_of(metrics_);
    const std::vector<double> together = losses();
    for (std::size_t step = 0; step < whole.size(); ++step) {
      EXPECT_NEAR(together[step], whole[step], 1e-4 * whole[step]) << "step " << step;
    }
    const Outcome processes = run(launched(ranks, parts));
    ASSERT_EQ(processes.code, 0) << processes.err;
    EXPECT_EQ(hash_of(metrics_), hash);
  }
}

TEST_F(Classifier, SynchronizedBatchNormWithSeveralLanesARankIsAUsageError) {
  const Outcome outcome =
      run(command({"--model", "resnet", "--steps", "1", "--global-batch", "4", "--lanes", "2", "--sync-batch-norm"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, testing::HasSubstr("use lanes = 1 and no accumulation"));
  EXPECT_EQ(run(command({"--steps", "1", "--sync-batch-norm"})).code, 2);
}

TEST_F(Classifier, PatienceStopsEarly) {
  const Outcome outcome = run(command({"--epochs", "60", "--patience", "2", "--global-batch", "32"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_LT(epochs().size(), 60u);
  EXPECT_EQ(read_metrics(metrics_).back()["done"], true);
}

TEST_F(Classifier, AResnetTrainsWithTheSameBitsOnAnyRanks) {
  const std::vector<std::string> how = {"--model", "resnet", "--steps", "2", "--global-batch", "4", "--lanes", "2"};
  ASSERT_EQ(run(command(how)).code, 0);
  const std::string expected = hash_of(metrics_);
  const Outcome outcome = run(command(with(how, {"--backend", "local", "--ranks", "2"})));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(hash_of(metrics_), expected);
}

TEST_F(Classifier, TheLoopByHandTrainsToo) {
  const Outcome alone = run({"simple_net", dir_.path()});
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_THAT(alone.out, testing::HasSubstr("loss"));
  const Outcome two = run(launched(2, {"simple_net", dir_.path()}));
  ASSERT_EQ(two.code, 0) << two.err;
}

TEST_F(Classifier, ActivationCheckpointingChangesNoBitOfAResNetAndIsSaidToDoNothingForSimpleNet) {
  const std::vector<std::string> resnet = {"--model", "resnet", "--steps", "2", "--global-batch", "8", "--lanes", "2"};
  ASSERT_EQ(run(command(resnet)).code, 0);
  const std::string expected = hash_of(metrics_);
  const Outcome checkpointed = run(command(with(resnet, {"--activation-checkpointing"})));
  ASSERT_EQ(checkpointed.code, 0) << checkpointed.err;
  EXPECT_EQ(checkpointed.err, "");
  EXPECT_EQ(hash_of(metrics_), expected);
  const Outcome nothing =
      run(command({"--steps", "2", "--backend", "local", "--ranks", "2", "--activation-checkpointing"}));
  EXPECT_EQ(nothing.code, 0) << nothing.err;
  EXPECT_THAT(nothing.err, testing::HasSubstr("warning: --activation-checkpointing has no effect"));
  EXPECT_EQ(std::count(nothing.err.begin(), nothing.err.end(), '\n'), 1) << nothing.err;
}

}  // namespace
}  // namespace trireme::test
