// Who starts the ranks, and what carries the bytes, changes no bit. Slurm's turn is tests/slurm.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/programs/samples.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/mpi/mpi.h"

namespace trireme::test {
namespace {

class Launchers : public testing::Test {
 protected:
  void SetUp() override {
    write_text_file(text_);
    const Outcome alone = run(command());
    ASSERT_EQ(alone.code, 0) << alone.err;
    expected_ = hash_of(metrics_);
  }

  std::vector<std::string> command() const { return with(tiny_gpt(text_, metrics_), {"--steps", "4"}); }

  // The program as a path, as foreign launchers want it, with these options behind.
  std::vector<std::string> program(const std::vector<std::string>& options) const {
    std::vector<std::string> words = with(command(), options);
    words[0] = std::string(TRIREME_BIN_DIR) + "/" + words[0];
    return words;
  }

  static CommandResult start(const std::vector<std::string>& words) {
    const char* asan = std::getenv("ASAN_OPTIONS");
    return run_command(
        words,
        {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
         {"ASAN_OPTIONS", std::string(asan == nullptr ? "" : asan) + ":detect_leaks=0"}},  // libmpi's own
        std::chrono::seconds(60));
  }

  static bool can_test_mpi() {
#if defined(__SANITIZE_THREAD__)
    return false;  // libmpi is not built with ThreadSanitizer, and its own locks are not seen
#else
    return comm::has_mpi();
#endif
  }

  static bool has_mpirun() { return run_command({"mpirun", "--version"}).out.find("Open MPI") != std::string::npos; }

  void expect_same(const std::vector<std::string>& words, const std::string& backend) {
    const CommandResult result = start(words);
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(hash_of(metrics_), expected_);
    EXPECT_EQ(read_metrics(metrics_).back()["backend"], backend);
    EXPECT_GT(read_metrics(metrics_).back()["comm_bytes"], 0);
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::string expected_;
};

TEST_F(Launchers, MpirunStartsRanksOfOneHost) {
  if (!has_mpirun()) {
    GTEST_SKIP() << "mpirun of Open MPI is not installed (Debian: openmpi-bin)";
  }
  const std::vector<std::string> mpirun = {"mpirun", "--oversubscribe", "-n", "3"};
  expect_same(with(mpirun, program({})), "shm");
  if (comm::has_gloo()) {
    expect_same(with(mpirun, program({"--backend", "gloo", "--interface", "lo"})), "gloo");
  }
  if (can_test_mpi()) {
    expect_same(with(mpirun, program({"--backend", "mpi"})), "mpi");
    expect_same(with(mpirun, program({"--backend", "hierarchical"})), "shm+mpi");
    expect_same(with(mpirun, program({"--backend", "mpi", "--strategy", "fully_sharded"})), "mpi");
  }
}

// Where ranks share no memory parameters are gathered.
TEST_F(Launchers, MpirunStartsShardedRanks) {
  if (!has_mpirun()) {
    GTEST_SKIP() << "mpirun of Open MPI is not installed (Debian: openmpi-bin)";
  }
  const std::vector<std::string> mpirun = {"mpirun", "--oversubscribe", "-n", "3"};
  for (const char* stage : {"1", "3"}) {
    const std::vector<std::string> sharded = {"--strategy", "fully_sharded", "--zero-stage", stage};
    expect_same(with(mpirun, program(sharded)), "shm");
    if (comm::has_gloo()) {
      expect_same(with(mpirun, program(with(sharded, {"--backend", "gloo", "--interface", "lo"}))), "gloo");
    }
    if (can_test_mpi()) {
      expect_same(with(mpirun, program(with(sharded, {"--backend", "mpi"}))), "mpi");
    }
  }
}

TEST_F(Launchers, MpirunsErrorsAreOneLine) {
  if (!has_mpirun()) {
    GTEST_SKIP() << "mpirun of Open MPI is not installed (Debian: openmpi-bin)";
  }
  const CommandResult result = start(with({"mpirun", "--oversubscribe", "-n", "2"}, program({"--backend", "local"})));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("a launcher started 2 processes"), std::string::npos) << result.err;
}

TEST_F(Launchers, RanksOnTwoHostsUseANetworkBetweenThem) {
  if (!comm::has_gloo()) {
    GTEST_SKIP() << "this build has no Gloo";
  }
  // A name of its own makes a host, as far as the ranks are concerned.
  const std::vector<std::string> as_hosts = {"sh", "-c", "TRIREME_HOST_NAME=host$((RANK / 2)) exec \"$@\"", "sh"};
  const std::vector<std::string> launcher = {std::string(TRIREME_BIN_DIR) + "/trireme", "run", "--nproc-per-node", "3",
                                             "--"};
  expect_same(with(with(launcher, as_hosts), program({})), "shm+gloo");
  expect_same(with(with(launcher, as_hosts), program({"--strategy", "fully_sharded"})), "shm+gloo");
  const CommandResult refused = start(with(with(launcher, as_hosts), program({"--backend", "shm"})));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("the ranks are on 2 hosts"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace trireme::test
