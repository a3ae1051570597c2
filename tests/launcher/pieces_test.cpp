// Small parts of the launcher: output, environment, program lookup, machine facts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/temp_dir.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/fault_plan.h"
#include "trireme/launcher/freeze_watch.h"
#include "trireme/launcher/line_tail.h"
#include "trireme/launcher/machine.h"
#include "trireme/launcher/output_relay.h"
#include "trireme/launcher/program.h"
#include "trireme/launcher/worker_environment.h"

namespace trireme::launcher {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string drain(const Fd& fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t got = 0; (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

void write_text(const Fd& fd, const std::string& text) {
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(LineTail, KeepsTheLastLines) {
  LineTail tail(2);
  tail.append("one\ntwo\nth");
  EXPECT_THAT(tail.lines(), ElementsAre("two", "th"));
  tail.append("ree\n\nfour\n");
  EXPECT_THAT(tail.lines(), ElementsAre("three", "four"));
}

TEST(LineTail, ForgetsWhatAProgressBarOverwrote) {
  LineTail tail(3);
  tail.append("10 %\r20 %\r30 %");
  EXPECT_THAT(tail.lines(), ElementsAre("30 %"));
  tail.append(std::string(100'000, 'x'));
  EXPECT_EQ(tail.lines().front().size(), 400u);
}

class RelayTest : public ::testing::Test {
 protected:
  EventLoop loop_;
  FdPair console_pipe_ = make_pipe();
  FdPair worker_pipe_ = make_pipe();
  Console console_{console_pipe_.theirs.get(), loop_};
};

TEST_F(RelayTest, WholeLinesAreMarked) {
  OutputRelay relay(std::move(worker_pipe_.ours), {&console_, "[rank 1] ", ""}, loop_);
  write_text(worker_pipe_.theirs, "a\nb\nun");
  loop_.run_once(Clock::now());
  EXPECT_EQ(drain(console_pipe_.ours), "[rank 1] a\n[rank 1] b\n");
  write_text(worker_pipe_.theirs, "finished");
  relay.finish();
  EXPECT_EQ(drain(console_pipe_.ours), "[rank 1] unfinished\n");
  EXPECT_THAT(relay.last_lines(), ElementsAre("a", "b", "unfinished"));
}

TEST_F(RelayTest, WithoutPrefixBytesPassAsTheyCome) {
  OutputRelay relay(std::move(worker_pipe_.ours), {&console_, "", ""}, loop_);
  write_text(worker_pipe_.theirs, "10 %\r20 %");
  loop_.run_once(Clock::now());
  EXPECT_EQ(drain(console_pipe_.ours), "10 %\r20 %");
}

TEST_F(RelayTest, EndlessLineIsShownInPieces) {
  OutputRelay relay(std::move(worker_pipe_.ours), {&console_, "> ", ""}, loop_);
  std::string shown;
  for (int i = 0; i < 20; ++i) {
    write_text(worker_pipe_.theirs, std::string(8000, 'x'));
    loop_.run_once(Clock::now());
    shown += drain(console_pipe_.ours);
  }
  EXPECT_GT(shown.size(), 64u * 1024);
}

TEST_F(RelayTest, LogFileGetsEverythingUnmarked) {
  test::TempDir folder;
  OutputRelay relay(std::move(worker_pipe_.ours), {nullptr, "[rank 1] ", folder / "out.log"}, loop_);
  write_text(worker_pipe_.theirs, "a\nb");
  relay.finish();
  std::ifstream file(folder / "out.log");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "a\nb");
  EXPECT_EQ(drain(console_pipe_.ours), "");
}

TEST_F(RelayTest, UnwritableLogIsAnErrorThatNamesIt) {
  EXPECT_THROW(OutputRelay(std::move(worker_pipe_.ours), {nullptr, "", "/proc/none/out.log"}, loop_), Error);
}

TEST_F(RelayTest, ReaderThatWaitsNeverBlocksTheLauncher) {
  const std::string text(1 << 20, 'x');
  console_.write(text);  // far more than a pipe holds
  EXPECT_FALSE(console_.accepts());
  std::string seen;
  for (int i = 0; i < 1000 && seen.size() < text.size(); ++i) {
    seen += drain(console_pipe_.ours);
    loop_.run_once(Clock::now());
  }
  EXPECT_EQ(seen, text);
  EXPECT_TRUE(console_.accepts());
}

TEST_F(RelayTest, FullConsoleLeavesTheWorkersPipeAlone) {
  OutputRelay relay(std::move(worker_pipe_.ours), {&console_, "", ""}, loop_);
  console_.write(std::string(1 << 20, 'x'));
  write_text(worker_pipe_.theirs, "later");
  loop_.run_once(Clock::now());
  EXPECT_THAT(relay.last_lines(), IsEmpty());
}

TEST_F(RelayTest, ReaderThatIsGoneIsNoError) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  console_pipe_.ours.reset();
  console_.write("lost");
  console_.write("lost too");
  EXPECT_TRUE(console_.accepts());
  ::signal(SIGPIPE, before);
}

RunOptions two_ranks() { return parse_run_options({"--nproc-per-node", "2", "--rdzv-id", "j", "train"}); }

TEST(WorkerEnvironment, HasTorchrunsNames) {
  const auto environment = worker_environment({"HOME=/h", "RANK=77"}, two_ranks(), {1, 4321, "abc"}, 1, 9, "");
  for (const char* entry :
       {"HOME=/h", "RANK=1", "WORLD_SIZE=2", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=2", "GROUP_RANK=0", "ROLE_RANK=1",
        "MASTER_ADDR=127.0.0.1", "MASTER_PORT=4321", "TORCHELASTIC_RESTART_COUNT=1", "TORCHELASTIC_MAX_RESTARTS=3",
        "TORCHELASTIC_RUN_ID=j", "TORCHELASTIC_USE_AGENT_STORE=False", "TRIREME_JOB_TOKEN=abc",
        "TRIREME_MAX_WORLD_SIZE=2", "TRIREME_RESTART_COUNT=1", "TRIREME_STATUS_FD=9", "OMP_NUM_THREADS=1"}) {
    EXPECT_THAT(environment, Contains(entry));
  }
  EXPECT_THAT(environment, Not(Contains("RANK=77")));
  EXPECT_THAT(environment, Not(Contains(StartsWith("TRIREME_INJECT="))));
}

TEST(WorkerEnvironment, AServerHasARoleAndIsNoRank) {
  const RunOptions options = parse_run_options({"--nproc-per-node", "2", "--servers", "3", "train"});
  const auto server = worker_environment({"RANK=77", "WORLD_SIZE=99"}, options, {1, 4321, "abc"}, 3, 9, "");
  for (const char* entry : {"ROLE_NAME=server", "ROLE_RANK=1", "ROLE_WORLD_SIZE=3", "TRIREME_SERVERS=3",
                            "TRIREME_WORKERS=2", "MASTER_PORT=4321", "TRIREME_JOB_TOKEN=abc"}) {
    EXPECT_THAT(server, Contains(entry));
  }
  for (const char* name : {"RANK=", "WORLD_SIZE=", "LOCAL_RANK=", "LOCAL_WORLD_SIZE="}) {
    EXPECT_THAT(server, Not(Contains(StartsWith(name))));
  }
  const auto rank = worker_environment({}, options, {1, 4321, "abc"}, 1, 9, "");
  for (const char* entry : {"RANK=1", "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=2", "ROLE_NAME=default", "ROLE_WORLD_SIZE=2",
                            "TRIREME_SERVERS=3", "TRIREME_MAX_WORLD_SIZE=2"}) {
    EXPECT_THAT(rank, Contains(entry));
  }
  const auto plain = worker_environment({"TRIREME_SERVERS=1"}, two_ranks(), {}, 0, 9, "");
  EXPECT_THAT(plain, Not(Contains(StartsWith("TRIREME_SERVERS="))));
}

TEST(WorkerEnvironment, KeepsTheUsersThreadCount) {
  EXPECT_THAT(worker_environment({"OMP_NUM_THREADS=4"}, two_ranks(), {}, 0, 9, ""), Contains("OMP_NUM_THREADS=4"));
}

TEST(WorkerEnvironment, FaultsAreOnlyThisLaunchersOwn) {
  const auto environment = worker_environment({"TRIREME_INJECT=old"}, two_ranks(), {}, 0, 9, "kill:rank=0,step=1");
  EXPECT_THAT(environment, Contains("TRIREME_INJECT=kill:rank=0,step=1"));
  EXPECT_THAT(worker_environment({"TRIREME_INJECT=old"}, two_ranks(), {}, 0, 9, ""),
              Not(Contains(StartsWith("TRIREME_INJECT="))));
}

TEST(FaultPlan, EachFaultStrikesOnce) {
  FaultPlan plan({cluster::parse_fault("kill:rank=1,step=3"), cluster::parse_fault("stop:rank=1,step=5"),
                  cluster::parse_fault("kill:rank=0,step=3")});
  EXPECT_EQ(plan.of_rank(1), "kill:rank=1,step=3;stop:rank=1,step=5");
  EXPECT_FALSE(plan.take(1, 2).has_value());
  EXPECT_TRUE(plan.take(1, 3).has_value());
  EXPECT_FALSE(plan.take(1, 3).has_value());
  EXPECT_EQ(plan.of_rank(1), "stop:rank=1,step=5");
  EXPECT_THAT(plan.left(), ElementsAre("stop:rank=1,step=5", "kill:rank=0,step=3"));
}

TEST(FreezeWatch, RankThatStaysStoppedWhileAnotherRunsIsDead) {
  FreezeWatch watch(3);
  const Clock::time_point start{};
  const std::vector<bool> running(3, true);
  const std::vector<bool> second_frozen = {false, true, false};
  EXPECT_THAT(watch.look(start, second_frozen, running), IsEmpty());
  EXPECT_THAT(watch.look(start + std::chrono::milliseconds(1499), second_frozen, running), IsEmpty());
  EXPECT_THAT(watch.look(start + std::chrono::milliseconds(1500), second_frozen, running), ElementsAre(1));
}

TEST(FreezeWatch, RankThatWentOnStartsAnew) {
  FreezeWatch watch(2);
  const Clock::time_point start{};
  const std::vector<bool> running(2, true);
  watch.look(start, {true, false}, running);
  watch.look(start + std::chrono::seconds(1), {false, false}, running);
  EXPECT_THAT(watch.look(start + std::chrono::seconds(2), {true, false}, running), IsEmpty());
}

TEST(FreezeWatch, JobOfWhichAllRanksAreStoppedIsPaused) {
  FreezeWatch watch(3);
  const Clock::time_point start{};
  const std::vector<bool> last_has_ended = {true, true, false};
  watch.look(start, {true, true, false}, last_has_ended);
  EXPECT_THAT(watch.look(start + std::chrono::seconds(9), {true, true, false}, last_has_ended), IsEmpty());
}

TEST(Program, IsFoundInPathAndByPath) {
  EXPECT_THAT(find_program({"sh", "-c", "x"}, false).arguments, ElementsAre("sh", "-c", "x"));
  EXPECT_THAT(find_program({"sh"}, false).executable, HasSubstr("/sh"));
  EXPECT_EQ(find_program({"/bin/sh"}, false).executable, "/bin/sh");
}

TEST(Program, PythonScriptsAndModulesRunUnderPython) {
  test::TempDir folder;
  std::ofstream(folder / "train.py") << "pass\n";
  EXPECT_THAT(find_program({folder / "train.py", "x"}, false).arguments,
              ElementsAre("python3", "-u", folder / "train.py", "x"));
  EXPECT_THAT(find_program({"json.tool"}, true).arguments, ElementsAre("python3", "-u", "-m", "json.tool"));
}

TEST(Machine, GivesAPortThatCanBeUsedAndTokensThatDiffer) {
  EXPECT_GT(free_loopback_port(), 1023);
  EXPECT_EQ(random_token().size(), 32u);
  EXPECT_NE(random_token(), random_token());
}

}  // namespace
}  // namespace trireme::launcher
