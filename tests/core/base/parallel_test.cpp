// parallel_for: coverage, exceptions, nesting, any number of threads, several owner threads at once.
#include "trireme/core/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_num_threads(GetParam()); }
  void TearDown() override { set_num_threads(1); }
};

TEST_P(Parallel, EveryElementIsVisitedOnceInTilesOfTheAskedSize) {
  EXPECT_EQ(num_threads(), GetParam());
  for (const std::int64_t count : {0, 1, 5, 64, 65, 1000}) {
    for (const std::int64_t tile : {1, 7, 64, 2000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
      parallel_for(count, tile, [&](std::int64_t begin, std::int64_t end) {
        EXPECT_EQ(begin % tile, 0);
        EXPECT_EQ(end, std::min(begin + tile, count));
        for (std::int64_t i = begin; i < end; ++i) {
          ++visits[static_cast<std::size_t>(i)];
        }
      });
      for (const auto& visit : visits) {
        ASSERT_EQ(visit.load(), 1);
      }
    }
  }
}

TEST_P(Parallel, AnExceptionOfATileReachesTheCallerAndTheNextCallWorks) {
  for (int round = 0; round < 3; ++round) {
    try {
      parallel_for(100, 1, [](std::int64_t begin, std::int64_t) {
        if (begin == 37) {
          fail("tile {} failed", begin);
        }
      });
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()), "tile 37 failed");
    }
    std::atomic<int> done{0};
    parallel_for(50, 1, [&](std::int64_t, std::int64_t) { ++done; });
    EXPECT_EQ(done.load(), 50);
  }
}

TEST_P(Parallel, NestedCallsRunInline) {
  std::atomic<std::int64_t> sum{0};
  parallel_for(20, 1, [&](std::int64_t outer, std::int64_t) {
    const std::thread::id here = std::this_thread::get_id();
    parallel_for(30, 4, [&](std::int64_t begin, std::int64_t end) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      sum += (end - begin) * (outer + 1);
    });
  });
  EXPECT_EQ(sum.load(), 30 * 20 * 21 / 2);
}

TEST_P(Parallel, ManyShortCallsInARow) {
  std::int64_t total = 0;
  for (int round = 0; round < 2000; ++round) {
    std::atomic<std::int64_t> sum{0};
    parallel_for(8, 2, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    total += sum.load();
  }
  EXPECT_EQ(total, 16000);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 3, 4));

TEST(ParallelOwners, EachThreadHasItsOwnHelpers) {
  std::vector<std::thread> owners;
  std::vector<std::int64_t> sums(3);
  for (std::size_t owner = 0; owner < sums.size(); ++owner) {
    owners.emplace_back([&sums, owner] {
      set_num_threads(static_cast<int>(owner) + 1);
      std::atomic<std::int64_t> sum{0};
      for (int round = 0; round < 200; ++round) {
        parallel_for(100, 3, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
      }
      sums[owner] = sum.load();
    });
  }
  for (std::thread& owner : owners) {
    owner.join();
  }
  EXPECT_EQ(sums, (std::vector<std::int64_t>{20000, 20000, 20000}));
  EXPECT_EQ(num_threads(), 1);
}

TEST(ParallelErrors, NumbersOfThreadsAndTilesBelowOneAreErrors) {
  EXPECT_THROW(set_num_threads(0), Error);
  EXPECT_THROW(parallel_for(10, 0, [](std::int64_t, std::int64_t) {}), Error);
}

}  // namespace
}  // namespace trireme
