// Training programs on workers and servers that are processes: the bits of one process without servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/programs/served_job.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::test {
namespace {

using Words = std::vector<std::string>;

// TRIREME_TEST_FULL=1 asks for every one.
std::vector<std::pair<int, int>> layouts(std::vector<std::pair<int, int>> few) {
  if (std::getenv("TRIREME_TEST_FULL") == nullptr) {
    return few;
  }
  std::vector<std::pair<int, int>> all;
  for (int servers = 1; servers <= 3; ++servers) {
    for (int workers = 1; workers <= 4; ++workers) {
      all.emplace_back(servers, workers);
    }
  }
  return all;
}

class ServedBits : public testing::Test {
 protected:
  static Words by_servers(const Words& words, const Words& more = {}) {
    return with(words, with({"--strategy", "parameter_server"}, more));
  }
  Words gpt() const { return with(tiny_gpt(text_, metrics_), {"--steps", "4", "--clip-norm", "0.5"}); }
  Words clicks() const {
    return {"train_recommender", "--rows", "3000",    "--dim", "6",          "--items", "3000",      "--lanes", "12",
            "--global-batch",    "120",    "--steps", "6",     "--progress", "off",     "--metrics", metrics_};
  }
  nlohmann::json end_of(const Words& words) const {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    const auto lines = read_metrics(metrics_);
    return lines.empty() ? nlohmann::json() : lines.back();
  }
  void expect_same_in(const std::vector<std::pair<int, int>>& tried, const Words& words) const {
    const std::string expected = end_of(words)["params_hash"];
    for (const auto& [servers, workers] : tried) {
      SCOPED_TRACE(fmt::format("{} servers, {} workers", servers, workers));
      const nlohmann::json end = end_of(served(servers, workers, by_servers(words)));
      EXPECT_EQ(end["params_hash"], expected);
      EXPECT_EQ(end["backend"], "shm");
      EXPECT_GT(end["comm_bytes"], 0);
      EXPECT_EQ(read_metrics(metrics_).front()["world_size"], workers);
    }
  }

  void SetUp() override { write_text_file(text_); }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(ServedBits, OfGptInEveryLayout) { expect_same_in(layouts({{1, 2}, {3, 2}, {2, 4}}), gpt()); }

TEST_F(ServedBits, OfARecommenderInEveryLayout) { expect_same_in(layouts({{2, 3}, {3, 1}}), clicks()); }

TEST_F(ServedBits, OfAClassifierInEveryLayout) {
  write_idx_files(dir_.path(), 48, 7);
  expect_same_in(layouts({{2, 2}}), {"train_classifier", "--data", dir_.path(), "--epochs", "2", "--lanes", "12",
                                     "--global-batch", "12", "--metrics", metrics_, "--progress", "off"});
}

TEST_F(ServedBits, OfPiecesOfAnySize) {
  const std::string expected = end_of(gpt())["params_hash"];
  for (const char* rule : {"fixed:3", "min_size:512", "max_size:700"}) {
    EXPECT_EQ(end_of(served(2, 2, by_servers(gpt(), {"--partitioner", rule})))["params_hash"], expected) << rule;
  }
}

TEST_F(ServedBits, OverTheNetwork) {
  if (!comm::has_gloo() || !strategies::parameter_server::has_grpc()) {
    GTEST_SKIP() << "this build has no Gloo or no gRPC";
  }
  const std::string expected = end_of(gpt())["params_hash"];
  const nlohmann::json end = end_of(served(2, 2, by_servers(gpt(), {"--backend", "gloo", "--interface", "lo"})));
  EXPECT_EQ(end["params_hash"], expected);
  EXPECT_EQ(end["backend"], "grpc");
}

TEST_F(ServedBits, UnderMpirunWhereTheLastRanksAreServers) {
  if (run_command({"mpirun", "--version"}).out.find("Open MPI") == std::string::npos) {
    GTEST_SKIP() << "mpirun of Open MPI is not installed (Debian: openmpi-bin)";
  }
  const std::string expected = end_of(gpt())["params_hash"];
  Words program = by_servers(gpt(), {"--servers", "2"});
  program[0] = std::string(TRIREME_BIN_DIR) + "/" + program[0];
  const CommandResult result =
      run_command(with({"mpirun", "--oversubscribe", "-n", "4"}, program),
                  {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}}, std::chrono::seconds(60));
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_EQ(hash_of(metrics_), expected);
  EXPECT_EQ(read_metrics(metrics_).front()["world_size"], 2);
}

TEST_F(ServedBits, BoundedStaleAndAsynchronousRunsEnd) {
  for (const Words& how : {Words{"ssp", "--staleness", "1"}, Words{"async"}}) {
    SCOPED_TRACE(how[0]);
    const nlohmann::json end = end_of(served(2, 3, by_servers(clicks(), with({"--consistency"}, how))));
    EXPECT_EQ(end["steps"], 6);
    EXPECT_GT(end["auc"], 0.3);
    EXPECT_EQ(end["test_examples"], 300);
  }
}

}  // namespace
}  // namespace trireme::test
