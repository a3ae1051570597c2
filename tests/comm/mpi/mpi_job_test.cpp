// Jobs of Open MPI, each started by mpirun: how they begin, and how they end when something goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/command.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/core/base/error.h"

namespace trireme::test {
namespace {

using testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(60);

bool there_is_mpirun() {
  const std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    if (std::filesystem::exists(path.substr(begin, end - begin) + "/mpirun")) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

class MpiJobs : public testing::Test {
 protected:
  void SetUp() override {
    if (!comm::has_mpi()) {
      GTEST_SKIP() << "this build has no MPI backend (Debian: libopenmpi-dev)";
    }
    if (!there_is_mpirun()) {
      GTEST_SKIP() << "there is no mpirun (Debian: openmpi-bin)";
    }
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "libmpi is not built with ThreadSanitizer, and its own locks are not seen";
#endif
  }

  static std::map<std::string, std::string> environment() {
    const char* const asan = std::getenv("ASAN_OPTIONS");
    return {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
            {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
            {"ASAN_OPTIONS", std::string(asan == nullptr ? "" : asan) + ":detect_leaks=0"}};  // libmpi's own
  }

  static CommandResult run(int ranks, const std::string& what) {
    return run_command({"mpirun", "-np", std::to_string(ranks), "--oversubscribe",
                        std::string(TRIREME_TEST_PROGRAM_DIR) + "/mpi_rank", what},
                       environment(), kPatience);
  }
};

TEST_F(MpiJobs, MpirunIsAllThatARunNeeds) {
  const CommandResult result = run(3, "works");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* line : {"rank 0 of 3: 6\n", "rank 1 of 3: 6\n", "rank 2 of 3: 6\n"}) {
    EXPECT_THAT(result.out, HasSubstr(line));
  }
}

TEST_F(MpiJobs, WithoutMpirunAProcessIsAWorldOfOne) {
  const CommandResult result =
      run_command({std::string(TRIREME_TEST_PROGRAM_DIR) + "/mpi_rank", "works"}, environment(), kPatience);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "rank 0 of 1: 1\n");
}

TEST_F(MpiJobs, AProgramMayHaveInitialisedMpiItself) {
  const CommandResult result = run(2, "initialized");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("rank 1 of 2: 3\n"));
}

TEST_F(MpiJobs, MpiInitialisedForOneThreadIsAnError) {
  const CommandResult result = run(1, "single");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("ask for it in the program's MPI_Init_thread"));
  EXPECT_THAT(result.err, HasSubstr("MPI_THREAD_MULTIPLE"));
}

TEST_F(MpiJobs, AGlobalCommunicatorEndsInOrder) {
  const CommandResult result = run(2, "global");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

TEST_F(MpiJobs, TheRequeueCodeReachesTheCaller) { EXPECT_EQ(run(2, "requeue").exit_code, 75); }

TEST_F(MpiJobs, AKilledRankEndsTheJobAndTheOthersNameIt) {
  const CommandResult result = run(3, "killed");
  EXPECT_EQ(result.exit_code, 137) << result.err;
  EXPECT_FALSE(result.timed_out);
  EXPECT_THAT(result.err, HasSubstr("barrier #1 \"after the kill\""));
  EXPECT_THAT(result.err, testing::ContainsRegex("rank 1 \\(pid [0-9]+\\) is dead"));
  EXPECT_LT(result.seconds.count(), 30);
}

TEST_F(MpiJobs, ARankThatThrowsEndsTheJobAndTheOthersNameIt) {
  const CommandResult result = run(3, "throws");
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_FALSE(result.timed_out);
  EXPECT_THAT(result.err, HasSubstr("error: the disk of rank 1 is full"));
  EXPECT_THAT(result.err, HasSubstr("\"never reached by rank 1\""));
  EXPECT_THAT(result.err, HasSubstr("rank 1 has left"));
}

TEST_F(MpiJobs, AFailedRankDoesNotWaitForeverForOthersThatAreBusy) {
  const CommandResult result = run(3, "busy");
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_FALSE(result.timed_out);
  EXPECT_THAT(result.err, testing::ContainsRegex("rank 1 \\(pid [0-9]+\\) on .* ends the job by MPI_Abort"));
  EXPECT_LT(result.seconds.count(), 30);
}

TEST_F(MpiJobs, WhoDoesNotConnectIsNamed) {
  const CommandResult result = run(3, "late");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("connecting on rank 0: rank 1 of 3 ranks did not arrive within 300 ms"));
}

TEST_F(MpiJobs, MpisOwnReductionKnowsItsTypesAndTheDeadline) {
  const CommandResult result = run(3, "reductions");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_EQ(result.out, "combined\ncombined\ncombined\n");
  EXPECT_THAT(result.err, HasSubstr("MPI's all_reduce was not over by the deadline on rank 0"));
  EXPECT_LT(result.seconds.count(), 30);
}

TEST(MpiLibrary, ThatIsMissingIsAnErrorThatNamesThePackage) {
  if (!comm::has_mpi()) {
    GTEST_SKIP() << "this build has no MPI backend (Debian: libopenmpi-dev)";
  }
  try {
    comm::connect_mpi({.library = "/nonexistent/libmpi.so.40"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("openmpi-bin"));
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/libmpi.so.40"));
  }
}

TEST(MpiLibrary, OfAnotherKindIsAnError) {
  if (!comm::has_mpi()) {
    GTEST_SKIP() << "this build has no MPI backend (Debian: libopenmpi-dev)";
  }
  try {
    comm::connect_mpi({.library = "libm.so.6"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("it is not Open MPI"));
  }
}

}  // namespace
}  // namespace trireme::test
