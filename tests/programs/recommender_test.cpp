// train_recommender as a user starts it: it learns, and has the same bits and the same AUC whatever the ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Words = std::vector<std::string>;

class RecommenderProgram : public testing::Test {
 protected:
  Words command(const Words& more = {}) const {
    const Words words = {"train_recommender",
                         "--rows",
                         "3000",
                         "--dim",
                         "6",
                         "--items",
                         "3000",
                         "--lanes",
                         "12",
                         "--seed",
                         "3",
                         "--global-batch",
                         "120",
                         "--steps",
                         "8",
                         "--progress",
                         "off",
                         "--metrics",
                         metrics_};
    return with(words, more);
  }
  struct Result {
    std::string hash;
    double auc = 0;
    double log_loss = 0;
    friend bool operator==(const Result&, const Result&) = default;
  };
  Result result_of(const Words& words) const {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const nlohmann::json last = read_metrics(metrics_).back();
    return {last["params_hash"], last["auc"], last["log_loss"]};
  }
  static Words threads(int ranks) { return {"--backend", "local", "--ranks", std::to_string(ranks)}; }

  // Criteo's format: the label follows the first category, with some fields missing.
  void write_clicks(const std::string& path, int lines) const {
    std::ofstream file(path);
    for (int i = 0; i < lines; ++i) {
      const int kind = i * 7 % 5;
      file << (kind < 2 ? 1 : 0);
      for (int column = 0; column < 13; ++column) {
        file << '\t' << ((i + column) % 4 == 0 ? "" : std::to_string(i * column % 23 - 1));
      }
      for (int column = 0; column < 26; ++column) {
        file << '\t'
             << (column == 0             ? "00ab" + std::to_string(kind)
                 : (i + column) % 6 == 0 ? ""
                                         : "68fd1e6" + std::to_string(i % 3));
      }
      file << '\n';
    }
  }

  TempDir dir_;
  std::string metrics_ = dir_ / "metrics.jsonl";
};

TEST_F(RecommenderProgram, LearnsWhatItDraws) {
  const Outcome outcome = run({"train_recommender", "--rows", "8000", "--items", "60000", "--epochs", "2", "--threads",
                               "2", "--global-batch", "256", "--progress", "off", "--metrics", metrics_});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<nlohmann::json> lines = read_metrics(metrics_);
  EXPECT_GT(lines.back()["auc"].get<double>(), 0.72);
  EXPECT_LT(lines.back()["log_loss"].get<double>(), 0.62);
  EXPECT_EQ(lines.back()["test_examples"], 6000);
  std::vector<double> epochs;
  for (const nlohmann::json& line : lines) {
    if (line.contains("epoch")) {
      epochs.push_back(line["auc"]);
    }
  }
  ASSERT_EQ(epochs.size(), 2u);
  EXPECT_EQ(epochs.back(), lines.back()["auc"]);
  EXPECT_THAT(outcome.out, testing::MatchesRegex("AUC 0\\.[0-9]+, log loss 0\\.[0-9]+ on 6000 test examples\n"
                                                 "params_hash [0-9a-f]+\n"));
}

TEST_F(RecommenderProgram, HasTheSameBitsOnAnyRanksAndBackend) {
  const Result alone = result_of(command());
  EXPECT_EQ(result_of(command({"--threads", "2"})), alone);
  for (const int ranks : {2, 3, 4}) {
    SCOPED_TRACE(ranks);
    EXPECT_EQ(result_of(command(threads(ranks))), alone);
    EXPECT_EQ(result_of(launched(ranks, command())), alone);
    if (comm::has_gloo()) {
      EXPECT_EQ(result_of(launched(ranks, command({"--backend", "gloo"}))), alone);
    }
  }
}

TEST_F(RecommenderProgram, HasThemWithEveryOptimizerAndOwnTables) {
  for (const char* optimizer : {"adagrad", "rowwise_adagrad", "adamw", "sgd"}) {
    const Words more = {"--optimizer", optimizer, "--weight-decay", "0.01", "--clip-norm", "0.3"};
    SCOPED_TRACE(optimizer);
    EXPECT_EQ(result_of(with(command(more), threads(3))), result_of(command(more)));
  }
  const Words own = {"--tables", "own", "--interaction", "concat", "--accumulate", "2"};
  EXPECT_EQ(result_of(launched(2, command(own))), result_of(command(own)));
}

TEST_F(RecommenderProgram, HasThemFullySharded) {
  const Result alone = result_of(command());
  for (const char* stage : {"1", "2", "3"}) {
    SCOPED_TRACE(stage);
    const Words sharded = command({"--strategy", "fully_sharded", "--zero-stage", stage});
    EXPECT_EQ(result_of(sharded), alone);
    EXPECT_EQ(result_of(launched(3, sharded)), alone);
    EXPECT_EQ(result_of(with(sharded, threads(2))), alone);
  }
}

TEST_F(RecommenderProgram, GoesOnFromACheckpointOnOtherRanks) {
  const std::string saved = dir_ / "checkpoints";
  for (const char* optimizer : {"adamw", "rowwise_adagrad"}) {
    fs::remove_all(saved);
    const Words how = {"--optimizer", optimizer};
    const Result expected = result_of(command(how));
    const auto part = [&](const char* steps) {
      return with(command(how), {"--checkpoint-dir", saved, "--steps", steps});
    };
    ASSERT_EQ(run(with(part("3"), threads(2))).code, 0);
    ASSERT_EQ(run(launched(3, with(part("5"), {"--strategy", "fully_sharded"}))).code, 0);
    const Outcome rest = run(part("8"));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_THAT(rest.err, HasSubstr("going on after 5 steps"));
    EXPECT_EQ(hash_of(metrics_), expected.hash);
  }
}

TEST_F(RecommenderProgram, ReadsClickLogsInCriteosFormat) {
  write_clicks(dir_ / "day_0", 300);
  write_clicks(dir_ / "day_1", 100);
  const Words words = {"train_recommender", "--data", dir_ / "day_0",   dir_ / "day_1", "--rows",  "500",
                       "--epochs",          "4",      "--global-batch", "40",           "--lanes", "4",
                       "--progress",        "off",    "--metrics",      metrics_};
  const Result alone = result_of(words);
  EXPECT_GT(alone.auc, 0.95);
  EXPECT_EQ(read_metrics(metrics_).back()["test_examples"], 40);
  EXPECT_EQ(result_of(launched(2, words)), alone);
}

TEST_F(RecommenderProgram, BrokenClickLogsAndChoicesAreErrorsThatSayWhatIsWrong) {
  const auto fails = [&](const std::string& text, const std::string& expected) {
    std::ofstream(dir_ / "log") << text;
    const Outcome outcome = run(command({"--data", dir_ / "log"}));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, HasSubstr(expected));
  };
  const std::string tabs(39, '\t');
  fails("", "is empty");
  fails("1\t2\t3\n", "it has no column");
  fails("1" + tabs + "\n1\t2\n", "line 2: 2 fields found, 40 expected");
  fails("1" + tabs + "\n" + tabs + "\n", "line 2, column 0: the label is missing");
  fails("3" + tabs + "\n", "label '3' found, 0 or 1 expected");
  fails("1\tx" + std::string(38, '\t') + "\n", "'x' found, a number expected");
  EXPECT_EQ(run(command({"--held-out", "1.5"})).code, 2);
  EXPECT_EQ(run(command({"--optimizer", "adam"})).code, 2);
  EXPECT_EQ(run(command({"--rows", "3"})).code, 2);
}

TEST_F(RecommenderProgram, APlanComesTrue) {
  const Words program = {"train_recommender", "--rows", "2000000",        "--dim", "16",         "--items", "20000",
                         "--steps",           "6",      "--global-batch", "4096",  "--progress", "off"};
  const Outcome planned = run(with({"trireme", "plan", "--json", "--"}, program));
  ASSERT_EQ(planned.code, 0) << planned.err;
  const double bytes = nlohmann::json::parse(planned.out)["memory"]["peak_bytes"];
  ASSERT_EQ(run(with(program, {"--metrics", metrics_})).code, 0);
  EXPECT_NEAR(read_metrics(metrics_).back()["peak_rss_bytes"].get<double>(), bytes, 0.05 * bytes);
}

}  // namespace
}  // namespace trireme::test
