#include "trireme/launcher/run_options.h"

#include <gmock/gmock.h>

#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

std::string refusal(const Words& words) {
  try {
    parse_run_options(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(RunOptions, DefaultsAreOneRankAndThreeRestarts) {
  const RunOptions options = parse_run_options({"--", "train"});
  EXPECT_EQ(options.ranks, 1);
  EXPECT_EQ(options.max_restarts, 3);
  EXPECT_EQ(options.master_port, 0);
  EXPECT_EQ(options.log_dir, "");
  EXPECT_FALSE(options.tee.has_value());
  EXPECT_THAT(options.command, ElementsAre("train"));
}

TEST(RunOptions, TorchrunsSpellingIsUnderstood) {
  const RunOptions options = parse_run_options(
      {"--standalone", "--nnodes=1:1", "--nproc_per_node=4", "--max_restarts", "7", "--log_dir", "a_b",
       "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", "--rdzv_id", "job_7", "-t", "3", "train.py"});
  EXPECT_EQ(options.ranks, 4);
  EXPECT_EQ(options.max_restarts, 7);
  EXPECT_EQ(options.log_dir, "a_b");  // values keep their underscores
  EXPECT_EQ(options.run_id, "job_7");
  EXPECT_EQ(options.tee, 3);
}

TEST(RunOptions, EverythingFromTheProgramOnIsItsOwn) {
  EXPECT_THAT(parse_run_options({"--nproc-per-node", "2", "train", "--log_dir", "x", "--nproc-per-node", "9"}).command,
              ElementsAre("train", "--log_dir", "x", "--nproc-per-node", "9"));
  EXPECT_THAT(parse_run_options({"--", "train", "--", "--help"}).command, ElementsAre("train", "--", "--help"));
  EXPECT_THAT(parse_run_options({"train", "--help"}).command, ElementsAre("train", "--help"));
  EXPECT_EQ(parse_run_options({"--nproc-per-node", "2", "train", "--nproc_per_node", "9"}).ranks, 2);
}

TEST(RunOptions, FaultsAreCollected) {
  const RunOptions options = parse_run_options(
      {"--nproc-per-node", "2", "--inject", "kill:rank=1,step=3", "--inject=exit:rank=0,step=5,code=4", "train"});
  ASSERT_EQ(options.faults.size(), 2u);
  EXPECT_EQ(options.faults[1].exit_code, 4);
}

TEST(RunOptions, AutoTakesAllCores) {
  EXPECT_GE(parse_run_options({"--nproc-per-node", "auto", "train"}).ranks, 1);
  EXPECT_GE(parse_run_options({"--nproc-per-node", "cpu", "train"}).ranks, 1);
}

TEST(RunOptions, ServersComeAfterTheRanks) {
  const RunOptions options = parse_run_options({"--servers", "2", "--nproc-per-node", "3", "train"});
  EXPECT_EQ(options.ranks, 3);
  EXPECT_EQ(options.servers, 2);
  EXPECT_EQ(process_count(options), 5);
  EXPECT_FALSE(is_server(options, 2));
  EXPECT_TRUE(is_server(options, 3));
  EXPECT_THAT(refusal({"--servers", "-1", "train"}), HasSubstr("--servers"));
  EXPECT_TRUE(plan_stream(parse_run_options({"--servers", "1", "train"}), 1, kStdout).prefixed);
}

TEST(RunOptions, HelpIsATextWithExamples) {
  EXPECT_THAT(parse_run_options({"--help"}).help, HasSubstr("trireme run --nproc-per-node auto -- train_gpt"));
}

TEST(RunOptions, WhatIsNotBuiltIsRefusedByName) {
  EXPECT_THAT(refusal({"--nnodes", "2", "train"}), HasSubstr("--nnodes 2: several hosts are not built yet"));
  EXPECT_THAT(refusal({"--nnodes", "1:4", "train"}), HasSubstr("not built yet"));
  EXPECT_THAT(refusal({"--node-rank", "1", "train"}), HasSubstr("--node-rank 1"));
  EXPECT_THAT(refusal({"--rdzv-backend", "etcd", "train"}), HasSubstr("etcd: not built yet"));
  EXPECT_THAT(refusal({"--rdzv-backend", "file", "train"}), HasSubstr("file: not built yet"));
  EXPECT_THAT(refusal({"--rdzv-backend", "zoo", "train"}), HasSubstr("no such backend"));
  EXPECT_THAT(refusal({"--devices", "0,1", "train"}), HasSubstr("not built yet"));
  EXPECT_THAT(refusal({"--nproc-per-node", "gpu", "train"}), HasSubstr("no CUDA"));
  EXPECT_THAT(refusal({"--inject", "cut:rank=0,step=1", "train"}), HasSubstr("cut is not built yet"));
}

TEST(RunOptions, WrongWordsAreNamed) {
  EXPECT_THAT(refusal({}), HasSubstr("no program given"));
  EXPECT_THAT(refusal({"--"}), HasSubstr("no program given"));
  EXPECT_THAT(refusal({"--nproc-per-nodes", "2", "train"}), HasSubstr("--nproc-per-nodes is no option"));
  EXPECT_THAT(refusal({"--rdzv_conf=timeout=3", "train"}), HasSubstr("--rdzv-conf of torchrun has no meaning"));
  EXPECT_THAT(refusal({"--rdzv-endpoint", "host", "train"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(refusal({"--redirects", "3", "train"}), HasSubstr("--log-dir"));
  EXPECT_THAT(refusal({"--inject", "kill:rank=1,step=0", "train"}), HasSubstr("no rank 1"));
  for (const char* ranks : {"0", "-1", "two", "2x", "5000", "99999999999"}) {
    EXPECT_THAT(refusal({"--nproc-per-node", ranks, "train"}), HasSubstr(ranks));
  }
  for (const Words& words :
       {Words{"--tee", "4", "train"}, Words{"--max-restarts", "-1", "train"}, Words{"--max-restarts", "x", "train"},
        Words{"--master-port", "70000", "train"}, Words{"--log-dir"}}) {
    EXPECT_THAT(refusal(words), HasSubstr(words[0])) << words[0];
  }
}

struct PlanCase {
  const char* name;
  Words words;
  int rank;
  Stream stream;
  bool inherited, shown, prefixed, logged;
};

class StreamPlanTest : public ::testing::TestWithParam<PlanCase> {};

TEST_P(StreamPlanTest, GoesWhereTheOptionsSay) {
  const PlanCase& expected = GetParam();
  const StreamPlan plan = plan_stream(parse_run_options(expected.words), expected.rank, expected.stream);
  EXPECT_EQ(plan.inherited, expected.inherited);
  EXPECT_EQ(plan.shown, expected.shown);
  EXPECT_EQ(plan.prefixed, expected.prefixed);
  EXPECT_EQ(plan.logged, expected.logged);
}

const Words kTwo = {"--nproc-per-node", "2", "train"};
const Words kTwoTeeOut = {"--nproc-per-node", "2", "--tee", "1", "train"};
const Words kTwoLogged = {"--nproc-per-node", "2", "--log-dir", "d", "train"};
const Words kTwoLoggedSilent = {"--nproc-per-node", "2", "--log-dir", "d", "--tee", "0", "train"};
const Words kTwoLoggedTeeErr = {"--nproc-per-node", "2", "--log-dir", "d", "--tee", "2", "train"};
const Words kTwoRedirected = {"--nproc-per-node", "2", "--log-dir", "d", "--redirects", "1", "train"};

INSTANTIATE_TEST_SUITE_P(
    All, StreamPlanTest,
    ::testing::Values(PlanCase{"LoneRankIsUntouched", {"train"}, 0, kStdout, true, true, false, false},
                      PlanCase{"RankZeroIsUntouched", kTwo, 0, kStderr, true, true, false, false},
                      PlanCase{"OthersAreMarked", kTwo, 1, kStdout, false, true, true, false},
                      PlanCase{"TeeMarksRankZeroToo", kTwoTeeOut, 0, kStdout, false, true, true, false},
                      PlanCase{"TeeLeavesTheOtherStream", kTwoTeeOut, 0, kStderr, true, true, false, false},
                      PlanCase{"LoggedIsShownToo", kTwoLogged, 0, kStdout, false, true, false, true},
                      PlanCase{"TeeNothingIsSilent", kTwoLoggedSilent, 1, kStdout, false, false, true, true},
                      PlanCase{"TeeShowsItsStream", kTwoLoggedTeeErr, 0, kStderr, false, true, true, true},
                      PlanCase{"TeeHidesTheOther", kTwoLoggedTeeErr, 0, kStdout, false, false, false, true},
                      PlanCase{"RedirectHidesItsStream", kTwoRedirected, 0, kStdout, false, false, false, true},
                      PlanCase{"RedirectLeavesTheOther", kTwoRedirected, 0, kStderr, false, true, false, true}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace trireme::launcher
