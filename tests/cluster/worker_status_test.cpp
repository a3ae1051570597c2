#include "trireme/cluster/worker_status.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace trireme::cluster {
namespace {

class WorkerStatusTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_), 0); }
  void TearDown() override {
    ::unsetenv(kStatusFdVariable);
    ::unsetenv(kInjectVariable);
    ::unsetenv(kRestartCountVariable);
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  std::string next() {
    char buffer[4096];
    const ssize_t got = ::recv(ends_[0], buffer, sizeof buffer, MSG_DONTWAIT);
    return {buffer, static_cast<std::size_t>(got > 0 ? got : 0)};
  }
  int worker_end() const { return ::fcntl(ends_[1], F_DUPFD_CLOEXEC, 3); }

  int ends_[2] = {-1, -1};
};

TEST_F(WorkerStatusTest, ReportsArriveAsOneLineEach) {
  WorkerStatus status(worker_end());
  status.report_step(0);
  status.report_step(123456789012);
  status.report_error("no such file", false);
  status.report_error("rank 1 is dead", true);
  EXPECT_EQ(next(), "step 0\n");
  EXPECT_EQ(next(), "step 123456789012\n");
  EXPECT_EQ(next(), "error no such file");
  EXPECT_EQ(next(), "peer-error rank 1 is dead");
}

TEST_F(WorkerStatusTest, EnvironmentNamesTheSocketAndItIsNotInherited) {
  ::setenv(kStatusFdVariable, std::to_string(ends_[1]).c_str(), 1);
  ::fcntl(ends_[1], F_SETFD, 0);
  WorkerStatus first = WorkerStatus::from_environment();
  WorkerStatus second = WorkerStatus::from_environment();
  ASSERT_TRUE(first.connected());
  first.report_step(1);
  second.report_step(2);
  EXPECT_EQ(next(), "step 1\n");
  EXPECT_EQ(next(), "step 2\n");
  EXPECT_EQ(::fcntl(ends_[1], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(WorkerStatusTest, NobodyListensIsNoError) {
  WorkerStatus nobody = WorkerStatus::from_environment();
  EXPECT_FALSE(nobody.connected());
  nobody.report_step(1);
  nobody.report_error("x", true);
  ::shutdown(ends_[0], SHUT_RDWR);
  WorkerStatus dead(worker_end());
  dead.report_step(1);  // neither SIGPIPE nor an error
}

TEST_F(WorkerStatusTest, OtherDescriptorsAreLeftAlone) {
  for (const char* value : {"", "x", "1", "-1", "99999", "3x"}) {
    ::setenv(kStatusFdVariable, value, 1);
    EXPECT_FALSE(WorkerStatus::from_environment().connected()) << value;
  }
}

TEST_F(WorkerStatusTest, FullSocketNeverBlocks) {
  WorkerStatus status(worker_end());
  for (int i = 0; i < 10'000; ++i) {
    status.report_step(i);
  }
  EXPECT_EQ(next(), "step 0\n");
}

TEST_F(WorkerStatusTest, LongErrorIsCut) {
  WorkerStatus status(worker_end());
  status.report_error(std::string(100'000, 'x'), false);
  EXPECT_EQ(next().size(), 1024u);
}

TEST_F(WorkerStatusTest, RehearsalWaitsForTheAnswer) {
  WorkerStatus status(worker_end(), true);
  ASSERT_EQ(::send(ends_[0], "go", 2, 0), 2);
  status.report_step(4);
  EXPECT_EQ(next(), "step 4\n");
}

TEST_F(WorkerStatusTest, AnswerExitEndsTheProcess) {
  const auto obey = [&] {
    WorkerStatus status(worker_end(), true);
    if (::send(ends_[0], "exit 7", 6, 0) == 6) {
      status.report_step(4);
    }
  };
  EXPECT_EXIT(obey(), ::testing::ExitedWithCode(7), "");
}

TEST_F(WorkerStatusTest, RestartCountComesFromTheEnvironment) {
  EXPECT_EQ(restart_count_from_environment(), 0);
  ::setenv(kRestartCountVariable, "2", 1);
  EXPECT_EQ(restart_count_from_environment(), 2);
  ::setenv(kRestartCountVariable, "two", 1);
  EXPECT_EQ(restart_count_from_environment(), 0);
}

TEST(WorkerReport, LinesAreTakenApart) {
  using Kind = WorkerReport::Kind;
  EXPECT_EQ(parse_worker_report("step 17\n").step, 17);
  EXPECT_EQ(parse_worker_report("step 17").kind, Kind::step);
  EXPECT_EQ(parse_worker_report("error a b").text, "a b");
  EXPECT_EQ(parse_worker_report("peer-error rank 1").kind, Kind::peer_error);
  for (const char* nonsense :
       {"", "\n", "step", "step x", "step -1", "step 1 2", "step 99999999999999999999", "hello"}) {
    EXPECT_EQ(parse_worker_report(nonsense).kind, Kind::unknown) << nonsense;
  }
}

}  // namespace
}  // namespace trireme::cluster
