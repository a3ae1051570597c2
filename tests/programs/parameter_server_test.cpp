// Training programs with --strategy parameter_server as a user starts them: the bits of one process without servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/programs/command.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

Words through_servers(int servers, int workers) {
  return {"--strategy", "parameter_server",      "--backend", "local",
          "--ranks",    std::to_string(workers), "--servers", std::to_string(servers)};
}

class ServerPrograms : public testing::Test {
 protected:
  Words gpt(const Words& more = {}) const {
    return with({"train_gpt", "--layers",   "1",   "--heads",        "2",     "--width", "16", "--context",
                 "16",        "--lanes",    "12",  "--global-batch", "12",    "--steps", "4",  "--clip-norm",
                 "0.5",       "--progress", "off", "--metrics",      metrics_},
                more);
  }
  Words clicks(const Words& more = {}) const {
    return with({"train_recommender", "--rows", "3000", "--dim", "6", "--items", "3000", "--lanes", "12",
                 "--global-batch", "120", "--steps", "6", "--progress", "off", "--metrics", metrics_},
                more);
  }
  std::string hash_after(const Words& words) const {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return hash_of(metrics_);
  }

  TempDir directory_;
  std::string metrics_ = (directory_.path() / "metrics.jsonl").string();
};

TEST_F(ServerPrograms, GptHasTheBitsOfOneProcess) {
  const std::string expected = hash_after(gpt());
  EXPECT_EQ(hash_after(gpt(through_servers(1, 1))), expected);
  EXPECT_EQ(hash_after(gpt(through_servers(3, 2))), expected);
}

TEST_F(ServerPrograms, RecommenderHasTheBitsOfOneProcessThoughNoWorkerHoldsTheTable) {
  const std::string expected = hash_after(clicks());
  EXPECT_EQ(hash_after(clicks(through_servers(2, 1))), expected);
  EXPECT_EQ(hash_after(clicks(through_servers(2, 3))), expected);
}

TEST_F(ServerPrograms, BoundedStaleAndAsynchronousRunsEnd) {
  EXPECT_EQ(run(clicks(with(through_servers(2, 3), {"--consistency", "ssp", "--staleness", "2"}))).code, 0);
  EXPECT_EQ(run(clicks(with(through_servers(2, 3), {"--consistency", "async"}))).code, 0);
}

TEST_F(ServerPrograms, WhatCannotBeHonouredIsAUsageError) {
  const auto complaint = [&](const Words& more) {
    const Outcome outcome = run(gpt(more));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(complaint({"--servers", "2"}), HasSubstr("--servers given with --strategy mirrored"));
  EXPECT_THAT(complaint(through_servers(0, 1)), HasSubstr("no servers were started"));
  EXPECT_THAT(complaint(with(through_servers(1, 1), {"--checkpoint-dir", (directory_.path() / "saved").string()})),
              HasSubstr("checkpoints of strategy parameter_server are not built in this version"));
  EXPECT_THAT(complaint(with(through_servers(1, 1), {"--staleness", "2"})),
              HasSubstr("it belongs to --consistency ssp"));
  EXPECT_THAT(complaint(with(through_servers(1, 1), {"--replicas", "2"})), HasSubstr("not built in this version"));
  EXPECT_THAT(complaint(with(through_servers(1, 1), {"--partitioner", "rows:3"})),
              HasSubstr("fixed:PIECES, min_size:BYTES or max_size:BYTES expected"));
  EXPECT_THAT(complaint(with(through_servers(1, 1), {"--precision", "bf16"})), HasSubstr("f32 expected"));
}

}  // namespace
}  // namespace trireme::test
