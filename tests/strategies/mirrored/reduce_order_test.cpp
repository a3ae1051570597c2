// --reduce-order fast: each rank brings one sum, and the backend adds these as it likes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/strategies/mirrored/small_run.h"
#include "trireme/comm/flight_recorder.h"

namespace trireme::strategies {
namespace {

constexpr auto kFast = comm::ReduceOrder::fast;
const std::vector<std::int64_t> kBatches{42, 42, 5, 42, 1, 42};  // in the short ones some ranks have nothing

TEST(FastOrder, OfOneRankIsTheCanonicalOne) {
  const Outcome canonical = train(1, 7, 3, kBatches, 0.1);
  const Outcome fast = train(1, 7, 3, kBatches, 0.1, kFast);
  EXPECT_EQ(fast.hash, canonical.hash);
  EXPECT_EQ(fast.losses, canonical.losses);
  EXPECT_EQ(fast.norms, canonical.norms);
}

TEST(FastOrder, IsTheCanonicalOneWhereEachRankHasOneLane) {
  EXPECT_EQ(train(4, 4, 1, {24, 24, 3}, 0, kFast).hash, train(4, 4, 1, {24, 24, 3}).hash);
}

class FastWorlds : public testing::TestWithParam<int> {};

TEST_P(FastWorlds, AreCloseToTheCanonicalOrderAndTheSameFromRunToRun) {
  const Outcome canonical = train(GetParam(), 7, 3, kBatches, 0.1);
  const Outcome fast = train(GetParam(), 7, 3, kBatches, 0.1, kFast);
  const Outcome again = train(GetParam(), 7, 3, kBatches, 0.1, kFast);
  EXPECT_EQ(again.hash, fast.hash);
  EXPECT_EQ(again.losses, fast.losses);
  EXPECT_EQ(fast.losses.front(), canonical.losses.front()) << "the loss is added exactly in either order";
  for (std::size_t i = 0; i < fast.losses.size(); ++i) {
    EXPECT_NEAR(fast.losses[i], canonical.losses[i], 1e-6 * canonical.losses[i]) << "step " << i;
    EXPECT_NEAR(fast.norms[i], canonical.norms[i], 1e-6 * canonical.norms[i]) << "step " << i;
  }
  ASSERT_EQ(fast.values.size(), canonical.values.size());
  for (std::size_t i = 0; i < fast.values.size(); ++i) {
    EXPECT_NEAR(fast.values[i], canonical.values[i], 1e-6 * std::max(1.0f, std::abs(canonical.values[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, FastWorlds, testing::Values(2, 3, 5));

// The point of the fast order: the backend is asked for a plain all_reduce, which its engine may carry out.
TEST(FastOrder, RanksBringOneSumEach) {
  comm::run_local(2, [&](comm::World ranks) {
    auto model = make_model();
    optim::AdamW adamw({.lr = 1e-2});
    Mirrored strategy(ranks, {.seed = 3, .reduce_order = kFast});
    strategy.prepare(model, adamw);
    const BatchSplit split{7, 1, 14};
    test::run_step(split, 0, ranks.rank(), 2, [&](std::int64_t leaf) {
      loss_of(model, split, 0, leaf).backward();
      strategy.step();
    });
    const std::vector<comm::OpRecord> records = ranks->recorder().records();
    const auto is_bucket = [](const comm::OpRecord& record) { return record.name.view().starts_with("bucket"); };
    const auto bucket = std::ranges::find_if(records, is_bucket);
    ASSERT_NE(bucket, records.end());
    EXPECT_EQ(bucket->kind, comm::OpKind::all_reduce);
  });
}

}  // namespace
}  // namespace trireme::strategies
