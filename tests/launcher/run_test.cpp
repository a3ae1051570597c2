// `trireme run` as a user meets it: real processes, real signals, deadlines everywhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/command.h"

namespace trireme::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::CommandResult;
using test::process_runs;
using test::RunningCommand;
using test::wait_until;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

const std::string kTrireme = TRIREME_BIN_DIR "/trireme";
const std::string kWorker = TRIREME_TEST_PROGRAM_DIR "/stepping_worker";

Words run_words(const Words& options, const Words& program) {
  Words words = {kTrireme, "run"};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back("--");
  words.insert(words.end(), program.begin(), program.end());
  return words;
}

CommandResult run(const Words& options, const Words& program, const std::map<std::string, std::string>& env = {}) {
  const CommandResult result = test::run_command(run_words(options, program), env);
  EXPECT_FALSE(result.timed_out) << result.out << result.err;
  return result;
}

CommandResult run_shell(const Words& options, const std::string& script) {
  return run(options, {"/bin/sh", "-c", script});
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Numbers that scripts have written into files FOLDER/NAME*.
std::vector<pid_t> pids_in(const std::filesystem::path& folder) {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (const std::string text = read_file(entry.path()); text.ends_with('\n')) {
      pids.push_back(std::stoi(text));
    }
  }
  return pids;
}

bool none_runs(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), [](pid_t pid) { return process_runs(pid); });
}

TEST(Run, EachRankGetsItsEnvironment) {
  const auto result =
      run_shell({"--nproc-per-node", "3"}, "echo $RANK/$WORLD_SIZE $LOCAL_RANK $MASTER_ADDR:$MASTER_PORT");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("0/3 0 127.0.0.1:"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] 1/3 1 127.0.0.1:"));
  EXPECT_THAT(result.out, HasSubstr("[rank 2] 2/3 2 127.0.0.1:"));
  EXPECT_EQ(result.err, "");
}

TEST(Run, NobodyListensOnMasterPort) {
  const auto result = run({}, {"python3", "-c",
                               "import os, socket\n"
                               "s = socket.socket()\n"
                               "s.bind((os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])))\n"
                               "s.listen()\n"
                               "print('bound')"});
  EXPECT_EQ(result.out, "bound\n") << result.err;
}

TEST(Run, WorkersStartWithOrdinarySignalsAndFewDescriptors) {
  const std::string count = "ls /proc/self/fd | wc -l";
  const int own = std::stoi(test::run_command({"/bin/sh", "-c", count}).out);
  const auto result = run_shell({"--nproc-per-node", "2"}, "grep SigBlk /proc/self/status; " + count);
  EXPECT_THAT(result.out, HasSubstr("[rank 1] SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] " + std::to_string(own + 1) + "\n"));  // the status socket more
}

TEST(Run, RankZeroReadsOurInputAndOthersNothing) {
  const auto result = test::run_command(
      {"/bin/sh", "-c", "echo hello | " + kTrireme + " run --nproc-per-node 2 -- sh -c 'echo \"got <$(cat)>\"'"});
  EXPECT_THAT(result.out, HasSubstr("got <hello>\n"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] got <>\n"));
}

TEST(Run, ProgramThatIsNotThereIsAShortError) {
  for (const char* program : {"/no/such/program", "no_such_program", "/etc", "/etc/hostname"}) {
    const auto result = run({"--nproc-per-node", "2"}, {program});
    EXPECT_EQ(result.exit_code, 2) << program;
    EXPECT_THAT(result.err, HasSubstr(std::string("cannot start '") + program + "'"));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST(Run, FileWithoutInterpreterIsAShortError) {
  test::TempDir folder;
  std::ofstream(folder / "script") << "echo x\n";
  std::filesystem::permissions(folder / "script", std::filesystem::perms::owner_all);
  const auto result = run({"--nproc-per-node", "2"}, {folder / "script"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("Exec format error"));
}

TEST(Run, FirstFailureIsNamedAndSurvivorsAreStoppedAtOnce) {
  const auto result =
      run_shell({"--nproc-per-node", "3", "--max-restarts", "0"}, "if [ $RANK = 1 ]; then kill -SEGV $$; fi; sleep 60");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_LT(result.seconds.count(), 5);  // far from 60; the survivors do not finish their sleep
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed: killed by SIGSEGV (signal 11)"));
  EXPECT_THAT(result.err, HasSubstr("others: rank 0, 2: stopped by the launcher"));
  EXPECT_THAT(result.err, HasSubstr("(--max-restarts 0)"));
}

TEST(Run, SurvivorThatIgnoresSigtermIsKilled) {
  const auto result =
      run_shell({"--nproc-per-node", "2", "--max-restarts", "0"},
                "if [ $RANK = 1 ]; then sleep 0.2; exit 5; fi; trap '' TERM; while :; do sleep 0.1; done");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed: exit code 5"));
  EXPECT_LT(result.seconds.count(), 10);
}

TEST(Run, ADeadServerIsNamedAsOne) {
  const auto result = run_shell({"--nproc-per-node", "2", "--servers", "2", "--max-restarts", "0"},
                                "if [ $ROLE_NAME$ROLE_RANK = server1 ]; then echo $ROLE_WORLD_SIZE servers, "
                                "$TRIREME_WORKERS workers, RANK=$RANK; kill -9 $$; fi; sleep 60");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("[server 1] 2 servers, 2 workers, RANK=\n"));
  EXPECT_THAT(result.err, HasSubstr("trireme run: server 1 failed: killed by SIGKILL (signal 9)"));
  EXPECT_THAT(result.err, HasSubstr("others: rank 0, 1, server 0: stopped by the launcher"));
  EXPECT_LT(result.seconds.count(), 10);
}

TEST(Run, LastLinesOfAMarkedRankAreRepeated) {
  const auto result = run_shell({"--nproc-per-node", "2", "--max-restarts", "0"},
                                "if [ $RANK = 1 ]; then echo the reason >&2; exit 9; fi; sleep 60");
  EXPECT_THAT(result.err, HasSubstr("[rank 1] the reason\n"));
  EXPECT_THAT(result.err, HasSubstr("    | the reason\n"));
}

TEST(Run, DeathsRestartAllRanksWithTheirCount) {
  const auto result = run_shell({"--nproc-per-node", "2", "--max-restarts", "2"},
                                "echo rank $RANK attempt $TORCHELASTIC_RESTART_COUNT; "
                                "if [ $RANK$TORCHELASTIC_RESTART_COUNT = 10 ]; then kill -KILL $$; fi; sleep 0.2");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("rank 0 attempt 1\n"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] rank 1 attempt 1\n"));
  EXPECT_THAT(result.err,
              HasSubstr("rank 1 failed: killed by SIGKILL (signal 9); all ranks restart (restart 1 of at most 2)"));
}

TEST(Run, RestartsEndAtTheirLimit) {
  const auto result = run_shell({"--max-restarts", "2"}, "echo attempt $TORCHELASTIC_RESTART_COUNT; kill -KILL $$");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "attempt 0\nattempt 1\nattempt 2\n");
  EXPECT_THAT(result.err, HasSubstr("2 restart(s) did not help"));
}

TEST(Run, UsageErrorIsNeverRestarted) {
  const auto result = run_shell({"--nproc-per-node", "2"}, "echo attempt $TORCHELASTIC_RESTART_COUNT; exit 2");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, Not(HasSubstr("attempt 1")));
}

TEST(Run, ErrorBeforeTheFirstStepIsNeverRestarted) {
  const auto result = run({"--nproc-per-node", "2"}, {kWorker, "fail=0", "rank=1", "ms=300"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, Not(HasSubstr("attempt 1")));
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed in step 0: exit code 1"));
  EXPECT_THAT(result.err, HasSubstr("it reports: the worker's own error"));
}

TEST(Run, ErrorAfterTheFirstStepIsRestarted) {
  const auto result = run({"--nproc-per-node", "2", "--max-restarts", "1"}, {kWorker, "fail=3", "rank=1", "ms=20"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("step 3 of attempt 1"));
}

TEST(Run, RankThatMissesAPeerIsNotCalledTheCause) {
  const auto result =
      run({"--nproc-per-node", "2", "--max-restarts", "0"},
          {"/bin/sh", "-c", "if [ $RANK = 0 ]; then exec " + kWorker + " peer=2; fi; trap '' TERM; sleep 0.1; exit 4"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed: exit code 4"));
}

TEST(Run, AllSavedMeansRequeue) { EXPECT_EQ(run_shell({"--nproc-per-node", "2"}, "exit 75").exit_code, 75); }

TEST(Run, SigtermLetsRanksSaveAndRequeue) {
  RunningCommand job(run_words({"--nproc-per-node", "2"}, {kWorker, "steps=100000", "ms=5", "term=save"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("[rank 1] step 3") != std::string::npos; }, seconds(10)));
  job.signal(SIGTERM);
  const auto result = job.wait();
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.err, HasSubstr("saved"));
}

TEST(Run, SigtermThatNobodyHandlesEndsTheJobWithoutRestart) {
  RunningCommand job(run_words({"--nproc-per-node", "2"}, {"/bin/sh", "-c", "echo ready; exec sleep 60"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("[rank 1] ready") != std::string::npos; }, seconds(10)));
  job.signal(SIGTERM);
  const auto result = job.wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("stopped by SIGTERM; rank 0, 1: killed by SIGTERM"));
}

TEST(Run, StopTimeoutEndsWhoIgnoresSigterm) {
  RunningCommand job(run_words({"--stop-timeout", "1"}, {kWorker, "steps=100000", "ms=5", "term=ignore"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("step 3") != std::string::npos; }, seconds(10)));
  job.signal(SIGTERM);
  EXPECT_EQ(job.wait().exit_code, 1);
}

TEST(Run, SecondInterruptKillsAtOnce) {
  RunningCommand job(run_words({"--nproc-per-node", "2"},
                               {"/bin/sh", "-c", "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("[rank 1] ready") != std::string::npos; }, seconds(10)));
  job.signal(SIGINT);
  ASSERT_TRUE(wait_until([&] { return job.out().find("[rank 1] caught") != std::string::npos; }, seconds(10)));
  job.signal(SIGINT);
  EXPECT_EQ(job.wait(seconds(5)).exit_code, 1);
}

TEST(Run, WorkerThatClosesItsStatusSocketCostsNothing) {
  const auto result = run({}, {"/bin/bash", "-c", "exec {TRIREME_STATUS_FD}>&-; sleep 0.3; cat /proc/$PPID/stat"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::stringstream stat(result.out.substr(result.out.rfind(')') + 1));
  long ticks = 0;
  std::string word;
  for (int field = 3; field <= 15 && stat >> word; ++field) {
    ticks += field >= 14 ? std::stol(word) : 0;  // user and system time of the launcher, 1/100 s
  }
  EXPECT_LT(ticks, 15);  // a loop without a pause would use 30
}

TEST(Run, PauseFromTheTerminalPausesTheWorkersToo) {
  RunningCommand job(run_words({"--nproc-per-node", "2"}, {kWorker, "steps=200", "ms=5"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("[rank 1] step 3") != std::string::npos; }, seconds(10)));
  job.signal(SIGTSTP);
  const std::string stat = "/proc/" + std::to_string(job.pid()) + "/stat";
  ASSERT_TRUE(wait_until([&] { return read_file(stat).find(") T ") != std::string::npos; }, seconds(10)));
  ::usleep(50'000);  // a worker on another core may finish the instruction it is in
  const std::string before = job.out();
  ::usleep(100'000);
  EXPECT_EQ(job.out(), before);
  job.signal(SIGCONT);
  const auto result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("[rank 1] step 199 of attempt 0"));
}

TEST(Run, UserSignalsReachTheWorkers) {
  RunningCommand job(
      run_words({}, {"/bin/sh", "-c",
                     "trap 'echo one' USR1; trap 'echo two; exit 0' USR2; echo ready; while :; do sleep 0.02; done"}));
  ASSERT_TRUE(wait_until([&] { return job.out().find("ready") != std::string::npos; }, seconds(10)));
  job.signal(SIGUSR1);
  ASSERT_TRUE(wait_until([&] { return job.out().find("one") != std::string::npos; }, seconds(10)));
  job.signal(SIGUSR2);
  EXPECT_EQ(job.wait().exit_code, 0);
}

// Workers, children in their process group, and children that left it write their numbers into files.
constexpr const char* kFamily =
    "echo $$ > $DIR/worker$RANK; sleep 300 & echo $! > $DIR/child$RANK; "
    "setsid sh -c 'echo $$ > $DIR/stray'$RANK'; exec sleep 300' & wait";

class Orphans : public ::testing::Test {
 protected:
  void start(const Words& options = {"--nproc-per-node", "2"}) {
    job_.emplace(run_words(options, {"/bin/sh", "-c", kFamily}),
                 std::map<std::string, std::string>{{"DIR", folder_.path()}});
    ASSERT_TRUE(wait_until([&] { return pids_in(folder_.path()).size() == 6; }, seconds(10)));
    family_ = pids_in(folder_.path());
    ASSERT_FALSE(none_runs(family_));
    ASSERT_TRUE(wait_until([&] { return keeper() > 0; }, seconds(10)));  // it names itself when it first runs
  }
  // Children of the launcher that are not workers.
  pid_t keeper() const {
    const std::string parent = "PPid:\t" + std::to_string(job_->pid()) + "\n";
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      if (read_file(entry.path() / "comm") == "trireme-keeper\n" &&
          read_file(entry.path() / "status").find(parent) != std::string::npos) {
        return std::stoi(entry.path().filename());
      }
    }
    return -1;
  }

  test::TempDir folder_;
  std::optional<RunningCommand> job_;
  std::vector<pid_t> family_;
};

TEST_F(Orphans, NoneHalfASecondAfterTheLauncherWasKilled) {
  start();
  const pid_t keeper_pid = keeper();
  ASSERT_GT(keeper_pid, 0);
  job_->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return none_runs(family_) && !process_runs(keeper_pid); }, milliseconds(500)));
}

TEST_F(Orphans, WorkersDieEvenIfTheKeeperCannotAct) {
  start();
  const pid_t keeper_pid = keeper();
  ASSERT_GT(keeper_pid, 0);
  ::kill(keeper_pid, SIGSTOP);
  job_->signal(SIGKILL);
  const std::vector<pid_t> workers = {std::stoi(read_file(folder_ / "worker0")),
                                      std::stoi(read_file(folder_ / "worker1"))};
  EXPECT_TRUE(wait_until([&] { return none_runs(workers); }, milliseconds(500)));
  ::kill(keeper_pid, SIGCONT);  // late, but it does its duty
  EXPECT_TRUE(wait_until([&] { return none_runs(family_); }, milliseconds(500)));
}

TEST_F(Orphans, KilledKeeperIsReplaced) {
  start();
  const pid_t first = keeper();
  ASSERT_GT(first, 0);
  ::kill(first, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return keeper() > 0 && keeper() != first; }, seconds(5)));
  job_->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return none_runs(family_); }, milliseconds(500)));
}

TEST_F(Orphans, NoneAfterAWorkerWasKilled) {
  start({"--nproc-per-node", "2", "--max-restarts", "0"});
  ::kill(std::stoi(read_file(folder_ / "worker1")), SIGKILL);
  const auto result = job_->wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed: killed by SIGKILL"));
  EXPECT_TRUE(none_runs(family_));
}

TEST_F(Orphans, NoneAfterAnOrdinaryEnd) {
  const auto result = test::run_command(
      run_words({}, {"/bin/sh", "-c", "sleep 300 & echo $! > $DIR/child; setsid sleep 300 & echo $! > $DIR/stray"}),
      {{"DIR", folder_.path()}});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(pids_in(folder_.path()).size(), 2u);
  EXPECT_TRUE(wait_until([&] { return none_runs(pids_in(folder_.path())); }, milliseconds(500)));
}

TEST(RunOutput, LogFilesHoldEachRanksStreams) {
  test::TempDir folder;
  const auto result = run_shell(
      {"--nproc-per-node", "2", "--log-dir", folder / "logs", "--tee", "2", "--max-restarts", "1"},
      "echo out $RANK; echo err $RANK >&2; sleep 0.1; if [ $TORCHELASTIC_RESTART_COUNT = 0 ]; then kill -KILL $$; fi");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read_file(folder / "logs/attempt_0/1/stdout.log"), "out 1\n");
  EXPECT_EQ(read_file(folder / "logs/attempt_0/0/stderr.log"), "err 0\n");
  EXPECT_EQ(read_file(folder / "logs/attempt_1/1/stderr.log"), "err 1\n");
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("[rank 0] err 0\n"));
  EXPECT_THAT(result.err, HasSubstr("[rank 1] err 1\n"));
  EXPECT_THAT(result.err, HasSubstr("attempt_0/"));
}

TEST(RunOutput, LinesOfRanksNeverMix) {
  const auto result = run_shell({"--nproc-per-node", "3", "--tee", "3"},
                                "i=0; while [ $i -lt 2000 ]; do echo $RANK$RANK$RANK$RANK $i; i=$((i+1)); done");
  EXPECT_EQ(result.exit_code, 0);
  std::stringstream lines(result.out);
  int next[3] = {0, 0, 0};
  int rank = 0;
  for (std::string line; std::getline(lines, line);) {
    rank = line.size() > 6 ? line[6] - '0' : 9;
    ASSERT_TRUE(rank >= 0 && rank < 3) << line;
    ASSERT_EQ(line, "[rank " + std::to_string(rank) + "] " + std::string(4, static_cast<char>('0' + rank)) + " " +
                        std::to_string(next[rank]++));
  }
  EXPECT_EQ(next[0], 2000);
  EXPECT_EQ(next[2], 2000);
}

TEST(RunOutput, RankZeroKeepsTheTerminal) {
  // script(1) gives its command a terminal.
  if (test::run_command({"/bin/sh", "-c", "command -v script"}).exit_code != 0) {
    GTEST_SKIP() << "needs script(1), of bsdutils, to have a terminal";
  }
  const std::string command =
      kTrireme + " run --nproc-per-node 2 -- sh -c 'if [ -t 1 ]; then echo terminal; else echo pipe; fi'";
  const auto result = test::run_command({"script", "-qec", command, "/dev/null"});
  EXPECT_THAT(result.out, HasSubstr("terminal"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] pipe"));
}

TEST(RunOutput, ReaderThatLeavesEndsNothingElse) {
  const auto result = test::run_command({"/bin/bash", "-c",
                                         "set -o pipefail; " + kTrireme +
                                             " run --nproc-per-node 2 --tee 1 -- sh -c 'for i in 1 2 3 4; do echo $i; "
                                             "done; sleep 0.2' | head -1 >/dev/null"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

struct InjectCase {
  const char* name;
  const char* fault;
  const char* expected;
};

class Inject : public ::testing::TestWithParam<InjectCase> {};

TEST_P(Inject, StrikesExactlyAsTheStepBegins) {
  // In a sanitizer build the runtime would catch SIGSEGV and turn it into an exit code.
  const std::map<std::string, std::string> plain_signals = {{"ASAN_OPTIONS", "handle_segv=0"},
                                                            {"TSAN_OPTIONS", "handle_segv=0"}};
  const auto result = run({"--nproc-per-node", "2", "--max-restarts", "0", "--inject", GetParam().fault},
                          {kWorker, "steps=30", "ms=2"}, plain_signals);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(std::string("rehearsing ") + GetParam().fault));
  EXPECT_THAT(result.err, HasSubstr(GetParam().expected));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] step 3 of attempt 0"));
  EXPECT_THAT(result.out, Not(HasSubstr("[rank 1] step 4 of attempt 0")));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Inject,
    ::testing::Values(InjectCase{"Kill", "kill:rank=1,step=4", "rank 1 failed in step 4: killed by SIGKILL"},
                      InjectCase{"Segv", "segv:rank=1,step=4", "rank 1 failed in step 4: killed by SIGSEGV"},
                      InjectCase{"Exit", "exit:rank=1,step=4,code=9", "rank 1 failed in step 4: exit code 9"}),
    [](const auto& info) { return info.param.name; });

TEST(InjectOnce, FaultDoesNotStrikeAgainAfterTheRestart) {
  const auto result = run({"--nproc-per-node", "2", "--inject", "kill:rank=1,step=2"}, {kWorker, "ms=20"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("[rank 1] step 4 of attempt 1"));
  EXPECT_THAT(result.out, Not(HasSubstr("attempt 2")));
}

TEST(InjectOnce, StoppedRankIsFrozenAndNamed) {
  // Rank 0 stands for a rank whose collective runs into its deadline.
  const auto result =
      run({"--nproc-per-node", "2", "--max-restarts", "0", "--inject", "stop:rank=1,step=2"},
          {"/bin/sh", "-c",
           "if [ $RANK = 1 ]; then exec " + kWorker + " steps=100000; fi; sleep 0.5; exec " + kWorker + " peer=2"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("frozen at that moment (stopped by SIGSTOP): rank 1"));
  EXPECT_THAT(result.out, Not(HasSubstr("[rank 1] step 2")));
}

TEST(InjectOnce, StoppedRankCountsAsDeadAndIsReplaced) {
  const auto result = run({"--nproc-per-node", "2", "--inject", "stop:rank=1,step=2"}, {kWorker, "steps=300", "ms=10"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("rank 1 failed in step 2: stopped by SIGSTOP while others ran, counted as dead"));
  EXPECT_THAT(result.out, HasSubstr("[rank 1] step 299 of attempt 1"));
}

TEST(InjectOnce, FaultThatNeverStruckIsMentioned) {
  const auto result = run({"--inject", "kill:rank=0,step=99"}, {kWorker});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("kill:rank=0,step=99 never struck"));
}

}  // namespace
}  // namespace trireme::launcher
