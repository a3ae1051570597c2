#include "trireme/comm/hierarchical/hosts.h"

#include <gtest/gtest.h>

#include "trireme/core/base/error.h"

namespace trireme::comm::hierarchical {
namespace {

TEST(Hosts, AreOrderedByTheirFirstRanks) {
  const Hosts hosts = Hosts::make({{2, 3}, {0, 1, 4}});
  EXPECT_EQ(hosts.ranks, (std::vector<std::vector<int>>{{0, 1, 4}, {2, 3}}));
  EXPECT_EQ(hosts.host_of, (std::vector<int>{0, 0, 1, 1, 0}));
  EXPECT_EQ(hosts.local_of, (std::vector<int>{0, 1, 0, 1, 2}));
  EXPECT_EQ(hosts.slices, 2);
}

TEST(Hosts, RunsAreNeighboursOfOneHost) {
  const Hosts hosts = Hosts::make({{0, 1, 4}, {2, 3}});
  ASSERT_EQ(hosts.runs[0].size(), 2u);
  EXPECT_EQ(hosts.runs[0][0].first_rank, 0);
  EXPECT_EQ(hosts.runs[0][0].length, 2);
  EXPECT_EQ(hosts.runs[0][1].first_rank, 4);
  EXPECT_EQ(hosts.runs[0][1].first_local, 2);
  EXPECT_EQ(hosts.runs[0][1].length, 1);
  ASSERT_EQ(hosts.runs[1].size(), 1u);
  EXPECT_EQ(hosts.runs[1][0].first_rank, 2);
}

TEST(Hosts, CarriersSpeakForNeighboursAndAllHaveSomebody) {
  const Hosts hosts = Hosts::make({{0, 1, 2, 3, 4}, {5, 6}});
  std::vector<int> carriers;
  for (int rank = 0; rank < 7; ++rank) {
    carriers.push_back(hosts.carrier_of(rank));
  }
  EXPECT_EQ(carriers, (std::vector<int>{0, 0, 0, 1, 1, 0, 1}));
}

TEST(Hosts, WrongGroupsAreErrorsThatSayWhich) {
  const auto message = [](std::vector<std::vector<int>> groups) {
    try {
      Hosts::make(std::move(groups));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message({}).find("no hosts"), std::string::npos);
  EXPECT_NE(message({{0}, {}}).find("without ranks"), std::string::npos);
  EXPECT_NE(message({{0, 1}, {1}}).find("rank 1 given for host 1"), std::string::npos);
  EXPECT_NE(message({{1, 0}}).find("ascending"), std::string::npos);
  EXPECT_NE(message({{0, 3}}).find("rank 3"), std::string::npos);
  EXPECT_NE(message({{-1, 0}}).find("rank -1"), std::string::npos);
}

TEST(Slices, CoverAllElementsAndBeginAtCacheLines) {
  for (const std::int64_t count : {0, 1, 15, 16, 100, 4097}) {
    for (const int slices : {1, 2, 3, 7}) {
      EXPECT_EQ(slice_begin(count, slices, 0), 0);
      EXPECT_EQ(slice_begin(count, slices, slices), count);
      for (int slice = 0; slice < slices; ++slice) {
        EXPECT_LE(slice_begin(count, slices, slice), slice_begin(count, slices, slice + 1));
        EXPECT_EQ(slice_begin(count, slices, slice) % 16, 0);
      }
    }
  }
}

}  // namespace
}  // namespace trireme::comm::hierarchical
