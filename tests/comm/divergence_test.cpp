#include "trireme/comm/divergence.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trireme::comm {
namespace {

OpRecord record(std::uint64_t sequence, OpKind kind, OpState state, std::int64_t count = 10,
                std::string_view name = "") {
  OpRecord out;
  out.sequence = sequence;
  out.kind = kind;
  out.state = state;
  out.count = count;
  out.name = OpName(name);
  return out;
}

constexpr OpState kDone = OpState::completed;
constexpr OpState kStarted = OpState::started;

struct Case {
  const char* what;
  std::vector<RankHistory> histories;
  std::vector<int> ranks;  // empty: no divergence
  std::string text;        // is part of the answer
};

class FirstDivergence : public testing::TestWithParam<Case> {};

TEST_P(FirstDivergence, IsFound) {
  const auto found = first_divergence(GetParam().histories);
  ASSERT_EQ(found.has_value(), !GetParam().ranks.empty());
  if (found) {
    EXPECT_EQ(found->ranks, GetParam().ranks);
    EXPECT_NE(found->text.find(GetParam().text), std::string::npos) << found->text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, FirstDivergence,
    testing::Values(
        Case{"nothing recorded", {{0, {}}, {1, {}}}, {}, ""}, Case{"no ranks", {}, {}, ""},
        Case{"equal", {{0, {record(0, OpKind::barrier, kDone)}}, {1, {record(0, OpKind::barrier, kDone)}}}, {}, ""},
        Case{"all wait in the same operation",
             {{0, {record(4, OpKind::barrier, kStarted)}}, {1, {record(4, OpKind::barrier, kStarted)}}},
             {},
             ""},
        Case{"one has not started",
             {{0, {record(4, OpKind::barrier, kDone), record(5, OpKind::all_reduce, kStarted, 10, "bucket 4")}},
              {1, {record(4, OpKind::barrier, kDone), record(5, OpKind::all_reduce, kStarted, 10, "bucket 4")}},
              {2, {record(4, OpKind::barrier, kDone)}}},
             {2},
             "all_reduce #5 \"bucket 4\" f32 x 10: rank 2 has not started it; its last is barrier #4 (completed)"},
        Case{"one has started nothing",
             {{0, {record(0, OpKind::barrier, kStarted)}}, {1, {}}},
             {1},
             "barrier #0: rank 1 has started nothing"},
        Case{"another operation",
             {{0, {record(1, OpKind::barrier, kStarted)}},
              {1, {record(1, OpKind::all_gather, kStarted)}},
              {2, {record(1, OpKind::barrier, kStarted)}}},
             {1},
             "barrier #1: rank 1 has all_gather #1 f32 x 10 there"},
        Case{"another count",
             {{0, {record(1, OpKind::all_reduce, kStarted, 10)}}, {1, {record(1, OpKind::all_reduce, kStarted, 11)}}},
             {1},
             "f32 x 11"},
        Case{"another name",
             {{0, {record(1, OpKind::all_reduce, kStarted, 10, "a")}},
              {1, {record(1, OpKind::all_reduce, kStarted, 10, "b")}}},
             {1},
             "\"b\""},
        Case{"one did not complete",
             {{0, {record(1, OpKind::barrier, kDone)}}, {1, {record(1, OpKind::barrier, kStarted)}}},
             {1},
             "barrier #1: rank 1 started it and did not complete it"},
        Case{"what a ring has forgotten is not missed",
             {{0, {record(8, OpKind::barrier, kDone), record(9, OpKind::barrier, kDone)}},
              {1, {record(9, OpKind::barrier, kDone)}}},
             {},
             ""},
        Case{"messages are left out",
             {{0, {record(0, OpKind::send, kDone), record(0, OpKind::barrier, kDone)}},
              {1, {record(0, OpKind::barrier, kDone)}}},
             {},
             ""}),
    [](const testing::TestParamInfo<Case>& info) {
      std::string name = info.param.what;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

}  // namespace
}  // namespace trireme::comm
