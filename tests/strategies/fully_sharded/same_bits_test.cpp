// Fully sharded training has mirrored training's bits: any stage, any number of ranks, mapped or gathered.
#include <gtest/gtest.h>

#include <map>

#include "tests/strategies/fully_sharded/runs.h"

namespace trireme::test {
namespace {

using strategies::FullyShardedOptions;

// The mirrored run on one rank, made once for each kind of job.
const Outcome& expected(const std::string& name, const Job& job) {
  static std::map<std::string, Outcome> known;
  const auto found = known.find(name);
  return found != known.end() ? found->second : known.emplace(name, run(job)).first->second;
}

struct Case {
  int world;
  int stage;
  Over over;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.world << " ranks, stage " << c.stage; }

class ShardedWorlds : public testing::TestWithParam<Case> {
 protected:
  static Job with_case(Job job) {
    job.world = GetParam().world;
    job.over = GetParam().over;
    job.sharded = FullyShardedOptions{.zero_stage = GetParam().stage};
    return job;
  }
};

TEST_P(ShardedWorlds, HaveTheBitsOfMirroredTraining) {
  const Job job{};
  EXPECT_EQ(run(with_case(job)), expected("plain", job));
}

TEST_P(ShardedWorlds, HaveThemWithAccumulationAndShortLastBatches) {
  const Job job{.lanes = 7, .accumulate = 3, .batches = {42, 42, 5, 42, 1, 42}};
  EXPECT_EQ(run(with_case(job)), expected("accumulation", job));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Over over : {Over::local, Over::shm}) {
    for (const int world : {1, 2, 3, 4, 7}) {
      for (const int stage : {1, 2, 3}) {
        all.push_back({world, stage, over});
      }
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, ShardedWorlds, testing::ValuesIn(cases()), [](const auto& info) {
  return std::string(info.param.over == Over::local ? "local" : "shm") + "_" + std::to_string(info.param.world) +
         "_ranks_stage_" + std::to_string(info.param.stage);
});

}  // namespace
}  // namespace trireme::test
