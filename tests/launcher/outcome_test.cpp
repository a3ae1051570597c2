#include "trireme/launcher/outcome.h"

#include <gmock/gmock.h>

#include <csignal>

#include "trireme/launcher/failure_report.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RankOutcome exited(int rank, int code, int order = 1, int steps_begun = 0) {
  RankOutcome outcome;
  outcome.process = outcome.index = rank;
  outcome.pid = 100 + rank;
  outcome.end.exit_code = code;
  outcome.order = order;
  outcome.steps_begun = steps_begun;
  outcome.last_step = steps_begun - 1;
  return outcome;
}

RankOutcome killed(int rank, int signal, int order = 1) {
  RankOutcome outcome = exited(rank, -1, order);
  outcome.end.signal = signal;
  return outcome;
}

RankOutcome missing_a_peer(int rank, int order = 1, int steps_begun = 5) {
  RankOutcome outcome = exited(rank, 1, order, steps_begun);
  outcome.because_of_peer = true;
  return outcome;
}

RankOutcome stopped_by_us(int rank, int signal = SIGTERM, int order = 2) {
  RankOutcome outcome = killed(rank, signal, order);
  outcome.ended_by_us = true;
  return outcome;
}

int guilty(std::vector<RankOutcome> ranks) {
  const AttemptOutcome outcome{std::move(ranks), 0};
  const RankOutcome* found = culprit(outcome);
  return found == nullptr ? -1 : found->index;
}

Verdict verdict(std::vector<RankOutcome> ranks, int restarts = 0, int max_restarts = 3, int stop_signal = 0) {
  return judge({std::move(ranks), stop_signal}, restarts, max_restarts);
}

TEST(Culprit, IsWhoeverFailedFirst) {
  EXPECT_EQ(guilty({exited(0, 1, 2), exited(1, 3, 1)}), 1);
  EXPECT_EQ(guilty({exited(0, 0), exited(1, 0)}), -1);
  EXPECT_EQ(guilty({exited(0, 75), exited(1, 0)}), -1);
}

TEST(Culprit, DeathBeforeAnExitSeenAtTheSameTime) { EXPECT_EQ(guilty({exited(0, 1), killed(1, SIGKILL)}), 1); }

TEST(Culprit, OwnErrorBeforeAPeers) {
  EXPECT_EQ(guilty({missing_a_peer(0, 1), exited(1, 1, 2)}), 1);
  EXPECT_EQ(guilty({missing_a_peer(0, 1), missing_a_peer(1, 2)}), 0);
}

TEST(Culprit, NeverWhoWasStoppedByTheLauncher) {
  EXPECT_EQ(guilty({stopped_by_us(0), stopped_by_us(1, SIGKILL), exited(2, 1, 1)}), 2);
}

TEST(Verdict, AllDoneOrAllSaved) {
  EXPECT_EQ(verdict({exited(0, 0), exited(1, 0)}), Verdict::done);
  EXPECT_EQ(verdict({exited(0, 75), exited(1, 75)}), Verdict::requeue);
  EXPECT_EQ(verdict({exited(0, 75), exited(1, 0)}), Verdict::requeue);
}

TEST(Verdict, DeathsRestartUntilTheLimit) {
  EXPECT_EQ(verdict({killed(0, SIGKILL), stopped_by_us(1)}, 0), Verdict::restart);
  EXPECT_EQ(verdict({killed(0, SIGSEGV)}, 2), Verdict::restart);
  EXPECT_EQ(verdict({killed(0, SIGSEGV)}, 3), Verdict::failed);
  EXPECT_EQ(verdict({killed(0, SIGSEGV)}, 0, 0), Verdict::failed);
}

TEST(Verdict, ExitOneRestartsOnlyAfterAFinishedStep) {
  EXPECT_EQ(verdict({exited(0, 1, 1, 0)}), Verdict::never_restart);
  EXPECT_EQ(verdict({exited(0, 1, 1, 1)}), Verdict::never_restart);  // its first step began, and was not done
  EXPECT_EQ(verdict({exited(0, 1, 1, 2)}), Verdict::restart);
  EXPECT_EQ(verdict({exited(0, 3, 1, 0)}), Verdict::restart);  // only code 1 means an error of the program
}

TEST(Verdict, WrongUsageOfAnyRankNeverRestarts) {
  EXPECT_EQ(verdict({exited(0, 2, 1, 9)}), Verdict::never_restart);
  EXPECT_EQ(verdict({missing_a_peer(0), exited(1, 2, 2, 9)}), Verdict::never_restart);
}

TEST(Verdict, PeerThatFrozeInTheFirstStepRestarts) {
  RankOutcome frozen = stopped_by_us(1, SIGKILL);
  frozen.was_frozen = true;
  EXPECT_EQ(verdict({missing_a_peer(0, 1, 1), frozen}), Verdict::restart);
}

TEST(Verdict, StopRequestNeverRestarts) {
  EXPECT_EQ(verdict({killed(0, SIGTERM), exited(1, 75)}, 0, 3, SIGTERM), Verdict::stopped);
  EXPECT_EQ(verdict({exited(0, 75), exited(1, 75)}, 0, 3, SIGTERM), Verdict::requeue);
  EXPECT_EQ(verdict({exited(0, 0)}, 0, 3, SIGTERM), Verdict::done);
}

TEST(Verdict, ExitCodesFollow) {
  EXPECT_EQ(exit_code(Verdict::done, {}), 0);
  EXPECT_EQ(exit_code(Verdict::requeue, {}), 75);
  EXPECT_EQ(exit_code(Verdict::failed, {}), 1);
  EXPECT_EQ(exit_code(Verdict::stopped, {}), 1);
  EXPECT_EQ(exit_code(Verdict::never_restart, {{exited(0, 2)}, 0}), 2);
  EXPECT_EQ(exit_code(Verdict::never_restart, {{exited(0, 1)}, 0}), 1);
}

TEST(FailureReport, NamesRankSignalStepAndWhatFollows) {
  RankOutcome dead = killed(1, SIGKILL);
  dead.last_step = 17;
  dead.memory.cgroup_kills = 1;
  dead.log_path = "logs/attempt_0/1/stderr.log";
  dead.last_lines = {"step 17", "allocating"};
  const AttemptOutcome outcome{{stopped_by_us(0), dead, stopped_by_us(2)}, 0};
  const std::string report = failure_report(outcome, Verdict::restart, {"node-a", 0, 3});
  EXPECT_THAT(report, HasSubstr("rank 1 failed in step 17: killed by SIGKILL (signal 9)"));
  EXPECT_THAT(report, HasSubstr("all ranks restart (restart 1 of at most 3)"));
  EXPECT_THAT(report, HasSubstr("process 101 on node-a"));
  EXPECT_THAT(report, HasSubstr("out of memory"));
  EXPECT_THAT(report, HasSubstr("    | allocating\n"));
  EXPECT_THAT(report, HasSubstr("log: logs/attempt_0/1/stderr.log"));
  EXPECT_THAT(report, HasSubstr("others: rank 0, 2: stopped by the launcher"));
}

TEST(FailureReport, PrefersTheRanksOwnWords) {
  RankOutcome outcome = exited(0, 1, 1, 3);
  outcome.error = "cannot read data.bin";
  outcome.last_lines = {"noise"};
  const std::string report = failure_report({{outcome}, 0}, Verdict::failed, {"node-a", 3, 3});
  EXPECT_THAT(report, HasSubstr("it reports: cannot read data.bin"));
  EXPECT_THAT(report, HasSubstr("3 restart(s) did not help"));
  EXPECT_THAT(report, Not(HasSubstr("noise")));
  EXPECT_THAT(report, Not(HasSubstr("others")));
}

TEST(FailureReport, NamesFrozenRanksAndStops) {
  RankOutcome frozen = stopped_by_us(1, SIGKILL);
  frozen.was_frozen = true;
  EXPECT_THAT(failure_report({{missing_a_peer(0), frozen}, 0}, Verdict::failed, {"h", 0, 0}),
              HasSubstr("frozen at that moment (stopped by SIGSTOP): rank 1"));
  EXPECT_THAT(failure_report({{killed(0, SIGTERM)}, SIGTERM}, Verdict::stopped, {"h", 0, 3}),
              HasSubstr("stopped by SIGTERM; rank 0: killed by SIGTERM"));
}

TEST(FailureReport, TellsWhoOnlyMissedAPeer) {
  EXPECT_THAT(failure_report({{missing_a_peer(0, 2), killed(1, SIGKILL)}, 0}, Verdict::failed, {"h", 0, 0}),
              HasSubstr("others: rank 0: exit code 1 because it missed a peer"));
}

TEST(FailureReport, ServersAreNamedAsServers) {
  RankOutcome dead = killed(2, SIGKILL);
  dead.server = true;
  dead.index = 0;
  RankOutcome other = stopped_by_us(3);
  other.server = true;
  other.index = 1;
  const std::string report =
      failure_report({{stopped_by_us(0), stopped_by_us(1), dead, other}, 0}, Verdict::failed, {"node-a", 0, 0});
  EXPECT_THAT(report, HasSubstr("trireme run: server 0 failed: killed by SIGKILL (signal 9)"));
  EXPECT_THAT(report, HasSubstr("server 0: process 102 on node-a"));
  EXPECT_THAT(report, HasSubstr("others: rank 0, 1, server 1: stopped by the launcher"));
}

TEST(Verdict, AServersErrorBeforeAnyRanksFirstStepIsHopeless) {
  RankOutcome server = exited(1, 1);
  server.server = true;
  EXPECT_EQ(verdict({exited(0, 0, 1, 1), server}), Verdict::never_restart);
  EXPECT_EQ(verdict({exited(0, 0, 1, 2), server}), Verdict::restart);
}

TEST(FailureReport, ListsOfRanksStayShort) {
  EXPECT_EQ(rank_list({}), "");
  EXPECT_EQ(rank_list({4}), "4");
  EXPECT_EQ(rank_list({0, 1}), "0, 1");
  EXPECT_EQ(rank_list({0, 1, 2, 3, 7, 9, 10}), "0 to 3, 7, 9, 10");
}

}  // namespace
}  // namespace trireme::launcher
