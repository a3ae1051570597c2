// Which nodes of the lane tree a host finishes by itself.
#include "trireme/comm/hierarchical/host_layout.h"

#include <gtest/gtest.h>

namespace trireme::comm::hierarchical {
namespace {

using Parts = std::vector<Subtree>;

std::vector<Subtree> nodes(const HostLayout& layout) {
  std::vector<Subtree> out;
  for (const HostLayout::Node& node : layout.nodes) {
    out.push_back(node.subtree);
  }
  return out;
}

TEST(HostLayout, NeighbouringAlignedRanksAreOneNode) {
  const auto layout = ReductionLayout::make(8, {{{0, 2}}, {{2, 4}}, {{4, 6}}, {{6, 8}}});
  const HostLayout host = host_layout(*layout, Hosts::make({{0, 1}, {2, 3}}), 1);
  EXPECT_EQ(nodes(host), (Parts{{0, 4}}));
  EXPECT_EQ(host.nodes[0].inside->parts_of_rank, (std::vector<Parts>{{{0, 2}}, {{2, 4}}}));
  EXPECT_EQ(host.across->parts_of_rank, (std::vector<Parts>{{{0, 4}}, {{4, 8}}}));
  EXPECT_EQ(host.nodes[0].first_part, 0u);
  EXPECT_EQ(host.nodes[0].end_part, 1u);
}

TEST(HostLayout, CyclicRanksAreNodesOfTheirOwn) {
  const auto layout = ReductionLayout::make(4, {{{0, 1}}, {{1, 2}}, {{2, 3}}, {{3, 4}}});
  const HostLayout host = host_layout(*layout, Hosts::make({{0, 2}, {1, 3}}), 2);
  EXPECT_EQ(nodes(host), (Parts{{0, 1}, {2, 3}}));
  EXPECT_EQ(host.nodes[0].inside->parts_of_rank, (std::vector<Parts>{{{0, 1}}, {}}));
  EXPECT_EQ(host.nodes[0].end_part, 0u) << "rank 2 brings nothing to leaf 0";
  EXPECT_EQ(host.nodes[1].end_part - host.nodes[1].first_part, 1u);
  EXPECT_EQ(host.across->parts_of_rank, (std::vector<Parts>{{{0, 1}, {2, 3}}, {{1, 2}, {3, 4}}}));
}

// Twelve lanes on 3 + 1 ranks: ranks 0 to 2 own [0, 9), of which [0, 8) is a node and lane 8 must wait for rank 3.
TEST(HostLayout, PartsOfARankMaySpanNodes) {
  const auto layout =
      ReductionLayout::make(12, {{{0, 2}, {2, 3}}, {{3, 4}, {4, 6}}, {{6, 8}, {8, 9}}, {{9, 10}, {10, 12}}});
  const Hosts hosts = Hosts::make({{0, 1, 2}, {3}});
  const HostLayout host = host_layout(*layout, hosts, 2);
  EXPECT_EQ(nodes(host), (Parts{{0, 8}, {8, 9}}));
  EXPECT_EQ(host.nodes[0].first_part, 0u);
  EXPECT_EQ(host.nodes[0].end_part, 1u);
  EXPECT_EQ(host.nodes[1].first_part, 1u);
  EXPECT_EQ(host.nodes[1].end_part, 2u);
  EXPECT_EQ(host.across->parts_of_rank, (std::vector<Parts>{{{0, 8}, {8, 9}}, {{9, 10}, {10, 12}}}));
}

TEST(HostLayout, AbsentLeavesAreNobodys) {
  const auto layout = ReductionLayout::make(8, {{{0, 1}}, {}, {}, {{5, 6}}});
  const Hosts hosts = Hosts::make({{0, 1}, {2, 3}});
  EXPECT_EQ(nodes(host_layout(*layout, hosts, 0)), (Parts{{0, 4}}));
  EXPECT_EQ(nodes(host_layout(*layout, hosts, 3)), (Parts{{4, 8}}));
}

TEST(HostLayout, AHostMayBringNothing) {
  const auto layout = ReductionLayout::make(4, {{{0, 1}}, {{2, 3}}, {}, {}});
  const Hosts hosts = Hosts::make({{0, 1}, {2, 3}});
  EXPECT_EQ(nodes(host_layout(*layout, hosts, 1)), (Parts{{0, 4}}));
  EXPECT_TRUE(host_layout(*layout, hosts, 2).nodes.empty());
  const auto none = ReductionLayout::make(4, {{}, {}, {}, {}});
  EXPECT_TRUE(host_layout(*none, hosts, 0).across->plan.empty());
}

TEST(HostLayout, FastIsOneBlockAHost) {
  const HostLayout host = block_layout(Hosts::make({{0, 2, 4}, {1, 3}}), 3);
  ASSERT_EQ(host.nodes.size(), 1u);
  EXPECT_EQ(host.nodes[0].inside->parts_of_rank, (std::vector<Parts>{{{0, 1}}, {{1, 2}}}));
  EXPECT_EQ(host.across->parts_of_rank, (std::vector<Parts>{{{0, 1}}, {{1, 2}}}));
}

TEST(HostLayouts, RememberWhatTheyDerived) {
  const Hosts hosts = Hosts::make({{0}, {1}});
  HostLayouts layouts;
  const auto make = [](std::int64_t lanes) { return ReductionLayout::make(lanes, {{{0, 1}}, {{1, 2}}}); };
  const auto first = layouts.find(make(2), hosts, 0);
  EXPECT_EQ(layouts.find(make(2), hosts, 0), first) << "equal layouts are one";
  for (int lanes = 3; lanes < 40; ++lanes) {  // more than are kept
    EXPECT_NE(layouts.find(make(lanes), hosts, 0), first);
  }
  EXPECT_EQ(layouts.find(make(2), hosts, 0)->across->leaves, 2);
}

}  // namespace
}  // namespace trireme::comm::hierarchical
