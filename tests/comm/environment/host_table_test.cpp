#include "trireme/comm/environment/host_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "trireme/comm/backends.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

HostFacts on(const char* name, bool gloo = true, bool mpi = false) { return {name, "boot/pid/0", "AVX2", gloo, mpi}; }

TEST(HostTable, RanksOfOneNameShareAHostIfTheyCanShareMemory) {
  HostFacts container = on("a");
  container.sharing = "boot/another pid namespace/0";
  const HostTable table({on("b"), on("a"), on("b"), container});
  EXPECT_EQ(table.hosts(), 3);
  EXPECT_EQ(table.ranks_of_host(), (std::vector<std::vector<int>>{{0, 2}, {1}, {3}}));
  EXPECT_EQ(table.host_of(2), 0);
}

TEST(HostTable, OtherInstructionsAreNamed) {
  HostFacts other = on("b");
  other.instructions = "AVX-512";
  EXPECT_EQ(HostTable({on("a"), on("a")}).different_instructions(), "");
  EXPECT_THAT(HostTable({on("a"), on("a"), other, other}).different_instructions(),
              testing::AllOf(HasSubstr("AVX2 (rank 0 on a)"), HasSubstr("AVX-512 (rank 2 on b)")));
}

TEST(HostTable, FactsSurviveTheirText) {
  const HostFacts facts = facts_of_this_process("a host\nwith \tblanks", true, false);
  const HostFacts back = decode_facts(encode(facts));
  EXPECT_EQ(back.name, "a_host_with__blanks");
  EXPECT_EQ(back.sharing, facts.sharing);
  EXPECT_EQ(back.instructions, facts.instructions);
  EXPECT_TRUE(back.gloo);
  EXPECT_FALSE(back.mpi);
  for (const char* wrong : {"", "a", "a b c", "a b c d", "a b c gm e", "a b c gmx"}) {
    EXPECT_THROW(decode_facts(wrong), Error) << wrong;
  }
}

TEST(HostTable, AllRanksGetTheSameTable) {
  MemoryStore store;
  constexpr int kRanks = 5;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      const HostTable table = exchange_hosts(rank, kRanks, on(rank < 2 ? "a" : "b"), store, milliseconds(5000));
      EXPECT_EQ(table.ranks_of_host(), (std::vector<std::vector<int>>{{0, 1}, {2, 3, 4}}));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(HostTable, MissingRanksAreNamedOnAllOthers) {
  MemoryStore store;
  std::vector<std::thread> threads;
  for (const int rank : {0, 2}) {
    threads.emplace_back([&, rank] {
      try {
        exchange_hosts(rank, 4, on("a"), store, milliseconds(100));
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("ranks 1, 3 of 4 did not arrive within 100 ms"));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(ChooseBackend, FollowsTheHostsAndTheNetworks) {
  const HostTable one({on("a"), on("a"), on("a")});
  const HostTable apart({on("a"), on("b")});
  const HostTable mixed({on("a"), on("a"), on("b")});
  const HostTable with_mpi({on("a", true, true), on("a", true, true), on("b", true, true)});
  const HostTable mpi_only({on("a", false, true), on("b", false, true)});
  const HostTable half_mpi({on("a", true, true), on("b", true, false)});
  const struct {
    const char* asked;
    const HostTable& hosts;
    BackendChoice choice;
  } cases[] = {
      {"auto", one, {"shm", ""}},
      {"shm", one, {"shm", ""}},
      {"gloo", one, {"gloo", "gloo"}},
      {"mpi", one, {"mpi", "mpi"}},
      {"hierarchical", one, {"hierarchical", "gloo"}},
      {"auto", apart, {"gloo", "gloo"}},
      {"auto", mixed, {"hierarchical", "gloo"}},
      {"hierarchical", apart, {"hierarchical", "gloo"}},
      {"gloo", mixed, {"gloo", "gloo"}},
      {"auto", with_mpi, {"hierarchical", "mpi"}},
      {"auto", mpi_only, {"mpi", "mpi"}},
      {"auto", half_mpi, {"gloo", "gloo"}},
  };
  for (const auto& one_case : cases) {
    EXPECT_EQ(choose_backend(one_case.asked, one_case.hosts), one_case.choice) << one_case.asked;
  }
}

TEST(ChooseBackend, WhatCannotBeIsAnErrorThatSaysWhatToInstall) {
  const HostTable apart({on("a"), on("b")});
  const HostTable no_network({on("a", false), on("b", false)});
  const auto error_of = [](const char* asked, const HostTable& hosts) -> std::string {
    try {
      choose_backend(asked, hosts);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(error_of("shm", apart), HasSubstr("on 2 hosts"));
  EXPECT_THAT(error_of("auto", no_network), testing::AllOf(HasSubstr("libgloo-dev"), HasSubstr("openmpi-bin")));
}

}  // namespace
}  // namespace trireme::comm
