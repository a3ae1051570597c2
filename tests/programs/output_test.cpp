// What the programs print and write when all is well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

class Output : public testing::Test {
 protected:
  void SetUp() override { write_text_file(text_); }
  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(Output, AMetricsFileHasALineAStepAndADoneLine) {
  const Outcome outcome = run(with(tiny_gpt(text_, metrics_), {"--steps", "20"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto lines = read_metrics(metrics_);
  ASSERT_EQ(lines.size(), 21u);
  for (std::size_t step = 0; step < 20; ++step) {
    const auto& line = lines[step];
    EXPECT_EQ(line["step"], step);
    EXPECT_EQ(line["tokens"], 12 * 16);
    EXPECT_EQ(line["world_size"], 1);
    EXPECT_EQ(line["generation"], 0);
    EXPECT_EQ(line["lr"], 3e-4);
    EXPECT_GT(line["tokens_per_s"].get<double>(), 0);
    EXPECT_GT(line["grad_norm"].get<double>(), 0);
    EXPECT_EQ(line["loss_bits"].get<std::string>().size(), 8u);
    EXPECT_GE(line["page_faults"].get<std::int64_t>(), 0);
    EXPECT_GT(line["peak_rss_bytes"].get<std::int64_t>(), 1 << 20);
  }
  EXPECT_NEAR(lines.front()["loss"].get<double>(), std::log(256.0), 0.1);
  EXPECT_LT(lines[19]["loss"].get<double>(), lines[0]["loss"].get<double>());
  const auto& done = lines.back();
  EXPECT_EQ(done["done"], true);
  EXPECT_EQ(done["steps"], 20);
  EXPECT_EQ(done["params_hash"].get<std::string>().size(), 16u);
  EXPECT_GT(done["tokens_per_s"].get<double>(), 0);
  EXPECT_TRUE(done.contains("comm_bytes"));
  EXPECT_TRUE(done["backend"].is_string());
}

TEST_F(Output, TheSteadyStateMeetsNoPageFault) {
  if (kSanitized) {
    GTEST_SKIP() << "sanitizers allocate memory of their own all the time";
  }
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--steps", "12"})).code, 0);
  const auto lines = read_metrics(metrics_);
  for (std::size_t step = 6; step < 12; ++step) {
    EXPECT_EQ(lines[step]["page_faults"], 0) << "step " << step;
  }
}

TEST_F(Output, SampleWritesSoManyBytesAlsoWithoutTraining) {
  const Outcome outcome = run(with(tiny_gpt(text_, metrics_), {"--steps", "0", "--sample", "40"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string tail = "\nparams_hash " + hash_of(metrics_) + "\n";
  EXPECT_EQ(outcome.out.size(), 40 + tail.size());
  EXPECT_THAT(outcome.out, testing::EndsWith(tail));
}

TEST_F(Output, ProgressAsLogLinesGoesToStderr) {
  const Outcome outcome = run(with(tiny_gpt(text_, metrics_), {"--steps", "4", "--progress", "log"}));
  ASSERT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, testing::HasSubstr("step 1/4  loss 5."));
  EXPECT_THAT(outcome.err, testing::HasSubstr("step 4/4  loss 5."));
  EXPECT_THAT(outcome.err, testing::HasSubstr("tokens/s"));
}

TEST_F(Output, ABarIsOneRewrittenLineWithoutColourWhereThatIsWished) {
  const Outcome outcome = run(with(tiny_gpt(text_, metrics_), {"--steps", "4", "--progress", "bar"}),
                              {{"NO_COLOR", "1"}, {"TERM", "xterm"}});
  ASSERT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, testing::HasSubstr("\rstep 4/4 ["));
  EXPECT_EQ(outcome.err.find("\033[3"), std::string::npos);
}

TEST_F(Output, HelpTeachesAndEndsWithZero) {
  for (const char* program : {"train_gpt", "train_classifier", "train_recommender"}) {
    const Outcome outcome = run({program, "--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, testing::HasSubstr("--global-batch"));
    EXPECT_THAT(outcome.out, testing::HasSubstr("Examples:"));
    EXPECT_THAT(outcome.out, testing::HasSubstr("trireme run --nproc-per-node"));
  }
}

TEST_F(Output, WithoutDataTheGptReadsTheCompilersHeaders) {
  const Outcome outcome = run({"train_gpt", "--layers", "1", "--heads", "1", "--width", "16", "--context", "8",
                               "--steps", "2", "--progress", "off", "--metrics", metrics_});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_metrics(metrics_).size(), 3u);
}

TEST_F(Output, ALargerVocabularyThanBytes) {
  ASSERT_EQ(run(with(tiny_gpt(text_, metrics_), {"--vocab", "1000", "--steps", "2"})).code, 0);
  EXPECT_NEAR(read_metrics(metrics_).front()["loss"].get<double>(), std::log(1000.0), 0.1);
}

}  // namespace
}  // namespace trireme::test
