// Training beside PyTorch and Hugging Face's libraries: the same losses, and files in both directions. Skipped, with
// the reason, where TRIREME_PYTHON (or python3) has not the packages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/programs/samples.h"
#include "tests/support/python.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

constexpr double kSameLoss = 1e-5;  // relative; f32 beside f64

class PyTorch : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_packages("torch"); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    write_text_file(text_);
  }

  std::vector<double> losses(const std::string& file) const {
    std::vector<double> values;
    for (const auto& line : read_metrics(file)) {
      if (line.contains("step")) {
        values.push_back(line["loss"]);
      }
    }
    return values;
  }
  // Of the first steps.
  void expect_same_losses(std::size_t steps) const {
    const std::vector<double> ours = losses(metrics_);
    const std::vector<double> theirs = losses(theirs_);
    ASSERT_GE(ours.size(), steps);
    ASSERT_EQ(theirs.size(), ours.size());
    for (std::size_t step = 0; step < steps; ++step) {
      EXPECT_NEAR(ours[step], theirs[step], kSameLoss * theirs[step]) << "step " << step;
    }
  }
  double train_one_step(const std::vector<std::string>& more) const {
    const Outcome outcome = run(with(tiny_gpt(text_, metrics_), with({"--steps", "1", "--order", "sequential"}, more)));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return losses(metrics_).at(0);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "ours.jsonl";
  std::string theirs_ = dir_ / "theirs.jsonl";
  std::string start_ = dir_ / "start.safetensors";
};

TEST_F(PyTorch, ThirtyStepsOfTheGptHaveTheLossesOfFloat64) {
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "0", "--export", start_})).code, 0);
  const Outcome ours =
      run(with(tiny_gpt(text_, metrics_), {"--steps", "30", "--order", "sequential", "--init", start_}));
  ASSERT_EQ(ours.code, 0) << ours.err;
  const PythonResult theirs =
      run_python("benchmarks/compare_pytorch/peers/gpt.py",
                 {"--precision", "f64", "--layers", "2", "--heads", "2", "--width", "32", "--context", "16", "--steps",
                  "30", "--data", text_, "--init", start_, "--metrics", theirs_});
  ASSERT_EQ(theirs.exit_code, 0) << theirs.err;
  expect_same_losses(30);
}

TEST_F(PyTorch, SimpleNetHasTheLossesOfFloat64OverThirtyStepsAndItsAccuracyAfterTwentyEpochs) {
  const std::string digits = TRIREME_SOURCE_DIR "/tests/data/digits/";
  const std::vector<std::string> how = {
      "train_classifier", "--data",     digits, "--global-batch", "64",     "--order",
      "sequential",       "--progress", "off",  "--metrics",      metrics_, "--steps"};
  ASSERT_EQ(run(with(how, {"0", "--seed", "3", "--export", start_})).code, 0);
  const Outcome ours = run(with(how, {"480", "--init", start_}));  // an epoch is 24 steps
  ASSERT_EQ(ours.code, 0) << ours.err;
  const PythonResult theirs =
      run_python("benchmarks/compare_pytorch/peers/simplenet.py",
                 {"--precision", "f64", "--steps", "480", "--init", start_, "--metrics", theirs_, "--data",
                  digits + "train-images-idx3-ubyte", digits + "train-labels-idx1-ubyte", "--test",
                  digits + "t10k-images-idx3-ubyte", digits + "t10k-labels-idx1-ubyte"});
  ASSERT_EQ(theirs.exit_code, 0) << theirs.err;
  expect_same_losses(30);
  double accuracy = 0;
  for (const auto& line : read_metrics(metrics_)) {
    accuracy = line.value("accuracy", accuracy);
  }
  EXPECT_NEAR(accuracy, read_metrics(theirs_).back()["accuracy"].get<double>(), 0.015);
  EXPECT_GT(accuracy, 0.9);
}

class HuggingFace : public PyTorch {
 protected:
  void SetUp() override {
    PyTorch::SetUp();
    if (const std::string reason = missing_packages("transformers, safetensors"); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  double their_loss(const std::string& what) const {
    const PythonResult result = run_python("tests/interop/gpt2.py", {what, dir_.path().string(), text_});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? std::stod(result.out) : 0;
  }
  std::string model_ = dir_ / "model.safetensors";  // the name that from_pretrained looks for
  std::vector<std::string> vocabulary_ = {"--vocab", "260"};
};

TEST_F(HuggingFace, AGpt2WrittenThereLoadsHereWithItsLoss) {
  const double theirs = their_loss("make");
  EXPECT_NEAR(train_one_step(with(vocabulary_, {"--init", model_})), theirs, kSameLoss * theirs);
}

TEST_F(HuggingFace, AnExportOpensThereWithOurLoss) {
  const Outcome outcome = run(with(with(tiny_gpt(text_, metrics_), vocabulary_), {"--steps", "5", "--export", model_}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const double theirs = their_loss("load");
  EXPECT_NEAR(train_one_step(with(vocabulary_, {"--init", model_})), theirs, kSameLoss * theirs);
}

// One file, then several with their index.
TEST_F(HuggingFace, AMergedCheckpointOpensThereWithOurLoss) {
  const std::string folder = dir_ / "run";
  const Outcome outcome = run(
      launched(2, with(with(tiny_gpt(text_, metrics_), vocabulary_), {"--steps", "5", "--checkpoint-dir", folder})));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const double ours = train_one_step(with(vocabulary_, {"--init", folder}));
  ASSERT_EQ(run({"trireme", "ckpt", "merge", folder, model_}).code, 0);
  EXPECT_NEAR(their_loss("load"), ours, kSameLoss * ours);
  std::filesystem::remove(model_);
  ASSERT_EQ(run({"trireme", "ckpt", "merge", folder, dir_.path().string(), "--shard-size", "20KB"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "model.safetensors.index.json"));
  EXPECT_NEAR(their_loss("load"), ours, kSameLoss * ours);
}

TEST_F(HuggingFace, EveryShardOfACheckpointOpensWithTheSafetensorsLibrary) {
  const std::string folder = dir_ / "run";
  const Outcome outcome =
      run(launched(2, with(tiny_gpt(text_, metrics_), {"--steps", "2", "--checkpoint-dir", folder})));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const PythonResult opened = run_python("tests/interop/open_shards.py", {folder});
  ASSERT_EQ(opened.exit_code, 0) << opened.err;
  // The rows of a tensor lie in the shards of both ranks.
  EXPECT_THAT(opened.out, testing::HasSubstr("model.transformer.wte.weight [[128, 32], [128, 32]]\n"));
  EXPECT_THAT(opened.out, testing::HasSubstr("optimizer.exp_avg_sq.transformer.ln_f.bias [[16], [16]]\n"));
}

}  // namespace
}  // namespace trireme::test
