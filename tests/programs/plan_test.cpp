// `trireme plan` with the training programs: what it says, what it costs, and that it comes true.
#include <gmock/gmock.h>

#include "tests/programs/command.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

const Words kGpt2 = {"train_gpt", "--layers", "12",      "--heads", "12",     "--width",       "768",
                     "--context", "64",       "--vocab", "50257",   "--data", "/proc/self/exe"};
const Words kHuge = {"train_gpt", "--layers", "96", "--heads", "96", "--width", "12288", "--vocab", "50257"};

nlohmann::json plan_of(const Words& options, const Words& program) {
  Words words = with(with({"trireme", "plan", "--json"}, options), {"--"});
  const Outcome outcome = run(with(words, program));
  EXPECT_EQ(outcome.err, "");
  return nlohmann::json::parse(outcome.out);
}

TEST(Plan, FollowsTheFormulaForEveryStageAndWorld) {
  constexpr double kParameters = 124439808 - 960 * 768;  // GPT-2 124M with 64 positions
  for (const int n : {1, 2, 4}) {
    const Words ranks = {"--nproc-per-node", std::to_string(n)};
    const auto persistent = [&](const Words& options) {
      const auto plan = plan_of(ranks, with(kGpt2, options));
      EXPECT_EQ(plan["parameters"].get<double>(), kParameters);
      return plan["memory"]["persistent_bytes"].get<double>();
    };
    EXPECT_NEAR(persistent({}), 16 * kParameters, 0.02 * 16 * kParameters);
    const double whole = persistent({"--strategy", "fully_sharded", "--zero-stage", "3"});
    EXPECT_NEAR(whole, 16 * kParameters / n, 0.02 * 16 * kParameters / n);
  }
}

TEST(Plan, ComesTrue) {
  if (kSanitized) {
    GTEST_SKIP() << "sanitizers keep memory of their own";
  }
  const Words program = {"train_gpt", "--layers",   "4",   "--heads",        "4",   "--width",
                         "256",       "--context",  "128", "--vocab",        "257", "--steps",
                         "5",         "--progress", "off", "--global-batch", "8"};
  for (const Words& options :
       {Words{"--accumulate", "2"}, Words{"--strategy", "fully_sharded", "--activation-checkpointing"}}) {
    const TempDir dir;
    const double planned = plan_of({}, with(program, options))["memory"]["peak_bytes"];
    const Outcome outcome = run(with(with(program, options), {"--metrics", dir / "m"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const double measured = read_metrics(dir / "m").back()["peak_rss_bytes"];
    EXPECT_NEAR(measured, planned, 0.04 * planned) << ::testing::PrintToString(options);  // 2 % of models that matter
  }
}

TEST(Plan, OfAModelThatNoMachineHoldsSaysWhatWouldHelp) {
  const Outcome outcome = run(with({"trireme", "plan", "--nproc-per-node", "4", "--"}, kHuge));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("It does not fit: 4 ranks on this node need"));
  for (const char* change : {"--strategy fully_sharded --zero-stage 2 ", "--strategy fully_sharded --zero-stage 3 ",
                             "--strategy fully_sharded --zero-stage 3 --activation-checkpointing"}) {
    EXPECT_THAT(outcome.out, HasSubstr(change));
  }
  EXPECT_LT(outcome.seconds, 20);
}

TEST(Plan, ARunThatCannotFitIsRefusedBeforeAnythingIsAllocated) {
  const Outcome outcome = run(with({"trireme", "run", "--nproc-per-node", "2", "--"}, kHuge));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("mirrored: the job does not fit: 2 ranks (0 to 1) need"));
  EXPECT_THAT(outcome.err, HasSubstr("trireme plan"));
}

TEST(Plan, CountsNodesAndRanks) {
  const auto plan = plan_of({"--nnodes", "1:3", "--nproc_per_node", "2"},
                            {"train_gpt", "--global-batch", "12", "--strategy", "fully_sharded", "--shard-group", "2"});
  EXPECT_EQ(plan["ranks"], 6);
  EXPECT_EQ(plan["ranks_per_node"], 2);
  EXPECT_EQ(plan["shared_memory"], true);
  EXPECT_GT(plan["traffic"]["gradients_across_bytes"], 0);
  EXPECT_EQ(plan["bytes_per_node"].get<std::int64_t>(), 2 * plan["memory"]["peak_bytes"].get<std::int64_t>());
}

TEST(Plan, OfTheClassifiersIsATable) {
  for (const char* model : {"mlp", "resnet"}) {
    const Outcome outcome = run({"trireme", "plan", "--", "train_classifier", "--model", model});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const char* words : {"train_classifier: ", "parameters", "optimizer state", "activations", "It fits"}) {
      EXPECT_THAT(outcome.out, HasSubstr(words));
    }
  }
}

TEST(Plan, AProgramThatDoesNotKnowTheQuestionIsEndedBeforeItWouldTrain) {
  const Outcome outcome = run({"trireme", "plan", "--", "true"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("does not know the question"));
}

TEST(Plan, WrongOptionsOfTheProgramAreTheProgramsErrors) {
  const Outcome outcome = run({"trireme", "plan", "--nproc-per-node", "8", "--", "train_gpt", "--global-batch", "12"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--global-batch 12: a multiple of --lanes 8"));
}

}  // namespace
}  // namespace trireme::test
