#include "trireme/comm/environment/host_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using Hosts = std::vector<std::string>;

// The expected values are those of `scontrol show hostnames` (Slurm 22.05), but for names with a suffix, which it
// refuses.
TEST(HostList, IsExpandedAsSlurmDoes) {
  const struct {
    const char* list;
    Hosts hosts;
  } cases[] = {
      {"a", {"a"}},
      {"a,b", {"a", "b"}},
      {"a[1-3]", {"a1", "a2", "a3"}},
      {"a[3]", {"a3"}},
      {"a[1-3,07-09],b2,c[1-2]-ib", {"a1", "a2", "a3", "a07", "a08", "a09", "b2", "c1-ib", "c2-ib"}},
      {"a[08-11]", {"a08", "a09", "a10", "a11"}},
      {"a[098-101]", {"a098", "a099", "a100", "a101"}},
      {"a[9-11]", {"a9", "a10", "a11"}},
      {"a[1-2]b[3-4]", {"a1b3", "a1b4", "a2b3", "a2b4"}},
      {"r[1-2]n[01-02]-ib0.lan", {"r1n01-ib0.lan", "r1n02-ib0.lan", "r2n01-ib0.lan", "r2n02-ib0.lan"}},
      {"a1,a1", {"a1", "a1"}},
      {"10.0.0.[1-2]", {"10.0.0.1", "10.0.0.2"}},
      {"tux[000000001]", {"tux000000001"}},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(expand_host_list(one.list), one.hosts) << one.list;
  }
}

TEST(HostList, HoldsAsManyHostsAsItSays) {
  EXPECT_EQ(expand_host_list("n[1-65536]").size(), kMaxHosts);
  EXPECT_EQ(expand_host_list("n[1-256]m[1-256]").back(), "n256m256");
}

TEST(HostList, WrongAndHostileListsAreRefused) {
  const struct {
    std::string list;
    const char* text;
  } cases[] = {
      {"", "0 characters given"},
      {",", "a host name expected at character 1"},
      {"a,,b", "a host name expected at character 3"},
      {"a,", "a host name expected"},
      {"a[", "a number of at most nine digits expected"},
      {"a[]", "a number of at most nine digits expected"},
      {"a[1", "']' expected"},
      {"a[1-]", "a number of at most nine digits expected"},
      {"a[2-1]", "a range that goes up expected"},
      {"a[1-2", "']' expected"},
      {"a]", "a letter, digit"},
      {"a b", "a letter, digit"},
      {"a\nb", "a letter, digit"},
      {"$(reboot)", "a letter, digit"},
      {"a[1-999999999]", "at most 65536 hosts"},
      {"a[0-65536]", "at most 65536 hosts"},
      {"a[1-65536],b", "at most 65536 hosts"},
      {"a[1-999]b[1-999]", "at most 65536 hosts"},
      {"a[1-99999999999999999999]", "at most nine digits"},
      {"[1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2][1-2]", "at most 65536 hosts"},
      {std::string(300, 'a'), "at most 255 characters"},
      {std::string(kMaxHostListBytes + 1, 'a'), "1 to 1048576 expected"},
  };
  for (const auto& one : cases) {
    try {
      expand_host_list(one.list);
      ADD_FAILURE() << one.list.substr(0, 80);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(one.text)) << one.list.substr(0, 80);
      EXPECT_LT(std::string(error.what()).size(), 300u);
    }
  }
}

TEST(HostList, AnyTextGivesHostsOrAnError) {
  std::mt19937 random(1);
  const std::string letters = "a0129[]-,(x)";
  for (int round = 0; round < 20000; ++round) {
    std::string list;
    for (std::size_t i = random() % 16; i > 0; --i) {
      list += letters[random() % letters.size()];
    }
    try {
      EXPECT_LE(expand_host_list(list).size(), kMaxHosts);
    } catch (const Error&) {
    }
    try {
      EXPECT_LE(expand_task_counts(list).size(), kMaxHosts);
    } catch (const Error&) {
    }
  }
}

TEST(TaskCounts, AreExpanded) {
  EXPECT_EQ(expand_task_counts("2(x3),1"), (std::vector<int>{2, 2, 2, 1}));
  EXPECT_EQ(expand_task_counts("4"), std::vector<int>{4});
  EXPECT_EQ(expand_task_counts("1,2(x1),3"), (std::vector<int>{1, 2, 3}));
  for (const char* wrong : {"", "x", "2(", "2(3)", "2(x", "2(x3", "2(x3)1", "2,", "2(x999999999)", "-1"}) {
    EXPECT_THROW(expand_task_counts(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace trireme::comm
