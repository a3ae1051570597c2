// What is said about a stall, and when.
#include "trireme/comm/stall.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "trireme/comm/stall_clock.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StallClock, WarnsAfterFiveSecondsThenEverMoreRarely) {
  StallClock clock;
  EXPECT_FALSE(clock.due(7, milliseconds(4999), seconds(60)));
  EXPECT_TRUE(clock.due(7, seconds(5), seconds(60)));
  EXPECT_FALSE(clock.due(7, seconds(14), seconds(60)));
  EXPECT_TRUE(clock.due(7, seconds(15), seconds(60)));
  EXPECT_FALSE(clock.due(7, seconds(44), seconds(60)));
  EXPECT_TRUE(clock.due(7, seconds(45), seconds(60)));
}

TEST(StallClock, WarnsAfterAQuarterOfAShortDeadlineAndAnewForEachOperation) {
  StallClock clock;
  EXPECT_EQ(clock.next(1, seconds(8)), seconds(2));
  EXPECT_TRUE(clock.due(1, seconds(2), seconds(8)));
  EXPECT_EQ(clock.next(1, seconds(8)), seconds(6));
  EXPECT_FALSE(clock.due(2, milliseconds(1999), seconds(8)));
  EXPECT_TRUE(clock.due(2, seconds(2), seconds(8)));
}

OpRecord record(std::uint64_t sequence, OpState state, std::string_view name = "") {
  return {.sequence = sequence, .kind = OpKind::all_reduce, .state = state, .count = 10, .name = OpName(name)};
}

constexpr OpState kDone = OpState::completed;
constexpr OpState kStarted = OpState::started;

RankReport waiting(int rank, std::uint64_t sequence) {
  return {.rank = rank,
          .host = "node-a",
          .activity = Activity{Phase::waiting, 12, seconds(4)},
          .records = {record(sequence - 1, kDone, "bucket 3"), record(sequence, kStarted, "bucket 4")}};
}

RankReport late(Presence presence, std::optional<Activity> activity) {
  return {.rank = 3,
          .host = "node-b",
          .pid = 812,
          .presence = presence,
          .activity = activity,
          .records = {record(454, kDone), record(455, kDone, "bucket 3")}};
}

struct Case {
  const char* what;
  Presence presence;
  std::optional<Activity> activity;
  std::string text;
};

class WaitingFor : public testing::TestWithParam<Case> {};

TEST_P(WaitingFor, SaysWhatTheMissingRankDoes) {
  const std::vector<RankReport> reports = {waiting(0, 456), waiting(1, 456), waiting(2, 456),
                                           late(GetParam().presence, GetParam().activity)};
  EXPECT_EQ(waiting_for({3}, reports, 456), "waiting for rank 3 on node-b (pid 812), which " + GetParam().text);
}

const std::string kLast = "; its last operation is all_reduce #455 \"bucket 3\" f32 x 10 (completed)";

INSTANTIATE_TEST_SUITE_P(
    Table, WaitingFor,
    testing::Values(
        Case{"loads_data", Presence::alive, Activity{Phase::loading_data, 13, milliseconds(4140)},
             "is in data loading since 4.1 s (step 13)" + kLast},
        Case{"saves", Presence::alive, Activity{Phase::saving_checkpoint, -1, seconds(40)},
             "is saving a checkpoint since 40.0 s" + kLast},
        Case{"waits_for_a_disk", Presence::in_disk, Activity{Phase::saving_checkpoint, -1, seconds(40)},
             "is saving a checkpoint since 40.0 s, and waits for a disk or a network file system (state D)" + kLast},
        Case{"is_stopped", Presence::stopped, Activity{Phase::backward, 13, seconds(4)},
             "is stopped (state T: SIGSTOP or a debugger; `kill -CONT` lets it go on)" + kLast},
        Case{"is_dead", Presence::dead, std::nullopt, "is dead" + kLast},
        Case{"has_left", Presence::left, std::nullopt, "has left the communicator" + kLast},
        Case{"lives", Presence::alive, std::nullopt, "lives" + kLast},
        Case{"is_silent", Presence::silent, std::nullopt, "does not answer: it is stopped, cut off or dead"}),
    [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.what); });

TEST(Stall, NamesAFewOfManyRanks) {
  const std::string text = waiting_for({1, 2, 3, 4, 5, 6}, {waiting(0, 456)}, 456);
  EXPECT_EQ(text, "waiting for rank 1, and for rank 2, and for rank 3, and for rank 4, and 2 more: ranks 5 and 6");
}

TEST(Stall, NamesTheFirstDifferenceIfItLiesFurtherBack) {
  RankReport other = waiting(1, 456);
  other.records[0].count = 11;
  EXPECT_THAT(waiting_for({1}, {waiting(0, 456), other, waiting(2, 456)}, 456),
              HasSubstr("; the ranks differ first in all_reduce #455 \"bucket 3\" f32 x 10: rank 1 has all_reduce #455 "
                        "\"bucket 3\" f32 x 11"));
  EXPECT_THAT(waiting_for({3}, {waiting(0, 456), waiting(1, 456), late(Presence::alive, {})}, 456),
              Not(HasSubstr("differ first")));
}

TEST(Stall, FindsTheLateRankInTheHistoriesIfTheBackendNamesNone) {
  EXPECT_THAT(waiting_for({}, {waiting(0, 456), waiting(1, 456), late(Presence::alive, {})}, 456),
              HasSubstr("waiting for rank 3 on node-b"));
  EXPECT_THAT(waiting_for({}, {waiting(0, 456), waiting(1, 456)}, 456), HasSubstr("all ranks have arrived"));
}

TEST(Stall, TheLowestRankThatWaitsSpeaksForAll) {
  EXPECT_EQ(speaker({3}, 4), 0);
  EXPECT_EQ(speaker({0, 1}, 4), 2);
  EXPECT_EQ(speaker({0, 1}, 2), -1);
}

TEST(RankReport, TravelsAsBytes) {
  const auto now = std::chrono::steady_clock::now();
  RankReport report = late(Presence::in_disk, Activity{Phase::backward, 13, milliseconds(4100)});
  report.records.back().start = now - seconds(3);
  const auto later = now + std::chrono::hours(1);  // the other host's clock
  const auto copy = unpack(pack(report, now, 4096), later);
  ASSERT_TRUE(copy);
  EXPECT_EQ(describe(*copy), describe(report));
  EXPECT_EQ(last_operation(*copy), last_operation(report));
  EXPECT_EQ(copy->records.size(), 2u);
  EXPECT_EQ(copy->records.back().start, later - seconds(3));
}

TEST(RankReport, LeavesTheOldestOutWhereRoomIsShort) {
  RankReport report{.rank = 1, .host = std::string(300, 'h')};
  for (std::uint64_t i = 0; i < 100; ++i) {
    report.records.push_back(record(i, kDone));
  }
  const std::vector<std::byte> bytes = pack(report, {}, 4096);
  EXPECT_LE(bytes.size(), 4096u);
  const auto copy = unpack(bytes, {});
  ASSERT_TRUE(copy);
  EXPECT_GT(copy->records.size(), 16u);
  EXPECT_EQ(copy->records.back().sequence, 99u);
}

TEST(RankReport, OfDamagedBytesIsNone) {
  std::vector<std::byte> bytes = pack(late(Presence::alive, Activity{}), {}, 4096);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(unpack({bytes.data(), size}, {})) << size;
  }
  bytes[0] = std::byte{0};
  EXPECT_FALSE(unpack(bytes, {}));
}

TEST(RankReport, SeesWhetherAProcessRunsIsStoppedOrDead) {
  EXPECT_EQ(presence_of_process(getpid()), Presence::alive);
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  kill(child, SIGSTOP);
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  EXPECT_EQ(presence_of_process(child), Presence::stopped);
  kill(child, SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(presence_of_process(child), Presence::dead);
  waitpid(child, &status, 0);
  EXPECT_EQ(presence_of_process(child), Presence::dead);
}

}  // namespace
}  // namespace trireme::comm
