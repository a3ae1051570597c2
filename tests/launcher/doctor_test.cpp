// `trireme doctor`: what follows from which facts, and real runs.
#include <gmock/gmock.h>

#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/environment.h"
#include "trireme/launcher/command_output.h"
#include "trireme/launcher/rank_comparison.h"

namespace trireme::launcher {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

MachineFacts good_machine() {
  MachineFacts facts;
  facts.instruction_sets = {"avx2", "fma"};
  facts.cores_usable = facts.cores_online = 4;
  facts.memory_files = facts.process_descriptors = true;
  facts.shm_bytes = facts.shm_free_bytes = std::int64_t{8} << 30;
  facts.open_files_limit = 4096;
  facts.loopback_port = facts.loopback_reached = true;
  facts.gloo = true;
  facts.mpi = {.built = true, .library = true, .mpirun = "mpirun (Open MPI) 4.1.4", .refuses_root = false};
  facts.disk = {
      .folder = "/data", .free_bytes = std::int64_t{1} << 40, .write_bytes_per_second = 1e9, .fsync_seconds = 1e-3};
  return facts;
}

TEST(Advice, AGoodMachineNeedsNone) { EXPECT_THAT(advise(good_machine()), testing::IsEmpty()); }

struct Case {
  const char* what;
  void (*spoil)(MachineFacts&);
  bool blocking;
  const char* text;  // is part of the only advice
};

class AdviceFor : public testing::TestWithParam<Case> {};

TEST_P(AdviceFor, SaysWhatToChange) {
  MachineFacts facts = good_machine();
  GetParam().spoil(facts);
  const Advices advice = advise(facts);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].blocking, GetParam().blocking);
  EXPECT_THAT(advice[0].text, HasSubstr(GetParam().text));
}

using Facts = MachineFacts;
INSTANTIATE_TEST_SUITE_P(
    Table, AdviceFor,
    testing::Values(Case{"no_port", [](Facts& f) { f.loopback_port = false; }, true, "ip link set lo up"},
                    Case{"firewall", [](Facts& f) { f.loopback_reached = false; }, true, "firewall"},
                    Case{"wrong_interface", [](Facts& f) { f.interface_error = "no interface eth7"; }, true, "eth7"},
                    Case{"no_memory_files", [](Facts& f) { f.memory_files = false; }, true, "--backend gloo"},
                    Case{"no_pidfd", [](Facts& f) { f.process_descriptors = false; }, true, "Linux 5.3"},
                    Case{"no_shm", [](Facts& f) { f.shm_bytes = -1; }, false, "mount a tmpfs"},
                    Case{"small_shm", [](Facts& f) { f.shm_free_bytes = 64 << 20; }, false, "64.0 MiB"},
                    Case{"few_addresses", [](Facts& f) { f.address_space_limit = 1 << 30; }, false,
                         "ulimit -v unlimited"},
                    Case{"no_avx2", [](Facts& f) { f.instruction_sets.clear(); }, false, "AVX2"},
                    Case{"pinned", [](Facts& f) { f.cores_usable = 1; }, false, "1 of 4 cores"},
                    Case{"small_cgroup", [](Facts& f) { f.cgroup_limit_bytes = 1 << 30; }, false, "1.0 GiB"},
                    Case{"few_files", [](Facts& f) { f.open_files_limit = 256; }, false, "ulimit -n 4096"},
                    Case{"few_processes", [](Facts& f) { f.processes_limit = 100; }, false, "ulimit -u"},
                    Case{"no_libmpi", [](Facts& f) { f.mpi.library = false; }, false, "libopenmpi3"},
                    Case{"other_mpirun", [](Facts& f) { f.mpi.mpirun = "HYDRA build details:"; }, false, "HYDRA"},
                    Case{"root", [](Facts& f) { f.mpi.refuses_root = true; }, false, "OMPI_ALLOW_RUN_AS_ROOT=1"},
                    Case{"no_gpu_nodes", [](Facts& f) { f.gpu.driver = "550.54"; }, false, "--gpus all"},
                    Case{"no_libcuda",
                         [](Facts& f) {
                           f.gpu = {"550.54", 2, false};
                         },
                         false, "libcuda1"},
                    Case{"read_only_disk", [](Facts& f) { f.disk.error = "read-only"; }, true, "/data: read-only"},
                    Case{"full_disk", [](Facts& f) { f.disk.free_bytes = 1 << 30; }, false, "1.0 GiB free"},
                    Case{"slow_disk", [](Facts& f) { f.disk.write_bytes_per_second = 1e7; }, false, "10 MB/s"}),
    [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.what); });

std::vector<RankFacts> fitting_ranks() {
  std::vector<RankFacts> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back({.rank = rank,
                     .host = rank < 2 ? "node-a" : "node-b",
                     .build = "0.1.0 a",
                     .instruction_set = "AVX2",
                     .cores_usable = 2,
                     .own = {}});
  }
  return ranks;
}

TEST(RankComparison, FittingRanksNeedNoAdvice) { EXPECT_TRUE(compare_ranks(fitting_ranks()).empty()); }

TEST(RankComparison, OtherBuildsMustChange) {
  auto ranks = fitting_ranks();
  ranks[2].build = "0.1.0 b";
  const Advices advice = compare_ranks(ranks);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_TRUE(advice[0].blocking);
  EXPECT_THAT(advice[0].text, HasSubstr("0.1.0 a on rank 0 (node-a), 0.1.0 b on rank 2 (node-b)"));
}

TEST(RankComparison, OtherInstructionSetsCostEqualBits) {
  auto ranks = fitting_ranks();
  ranks[1].instruction_set = "AVX-512";
  const Advices advice = compare_ranks(ranks);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_FALSE(advice[0].blocking);
  EXPECT_THAT(advice[0].text, HasSubstr("AVX-512"));
}

TEST(RankComparison, ClocksAreJudgedByWhatIsSureOfThem) {
  auto ranks = fitting_ranks();
  ranks[2].clock_ahead_seconds = -0.3;
  ranks[2].clock_error_seconds = 0.25;
  EXPECT_TRUE(compare_ranks(ranks).empty());
  ranks[2].clock_error_seconds = 0.001;
  ASSERT_EQ(compare_ranks(ranks).size(), 1u);
  EXPECT_FALSE(compare_ranks(ranks)[0].blocking);
  EXPECT_THAT(compare_ranks(ranks)[0].text, HasSubstr("the clock of rank 2 (node-b) is 0.30 s behind that of rank 0"));
  ranks[2].clock_ahead_seconds = 90;
  EXPECT_TRUE(compare_ranks(ranks)[0].blocking);
  EXPECT_THAT(compare_ranks(ranks)[0].text, HasSubstr("90.00 s ahead of"));
}

TEST(RankComparison, MoreRanksThanCoresAreNamedOncePerHost) {
  auto ranks = fitting_ranks();
  ranks[0].cores_usable = ranks[1].cores_usable = ranks[2].cores_usable = 1;
  const Advices advice = compare_ranks(ranks);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_THAT(advice[0].text, HasSubstr("node-a has more ranks than the 1 cores"));
}

TEST(RankComparison, FactsReachEveryRankAndClocksOfOneMachineAgree) {
  comm::run_local(3, [](comm::World world) {
    const RankFacts own{.rank = world.rank(),
                        .host = "node-" + std::to_string(world.rank()),
                        .build = "b",
                        .instruction_set = "AVX2",
                        .cores_usable = 7,
                        .own = {{true, "x"}, {false, "y: z"}}};
    const std::vector<RankFacts> all = exchange_facts(*world.communicator(), own);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[2].host, "node-2");
    EXPECT_EQ(all[1].cores_usable, 7);
    ASSERT_EQ(all[0].own.size(), 2u);
    EXPECT_TRUE(all[0].own[0].blocking);
    EXPECT_EQ(all[0].own[1].text, "y: z");
    if (world.rank() == 0) {
      EXPECT_LE(std::abs(all[1].clock_ahead_seconds), all[1].clock_error_seconds + 1e-3);
    }
  });
}

TEST(CommandOutput, IsTheFirstLineWithinTheDeadline) {
  EXPECT_EQ(first_line_of({"sh", "-c", "echo one; echo two; sleep 60"}, std::chrono::seconds(10)), "one");
  EXPECT_EQ(first_line_of({"sh", "-c", "exec sleep 60"}, std::chrono::milliseconds(50)), "");
  EXPECT_EQ(first_line_of({"no_such_program_anywhere"}, std::chrono::seconds(10)), "");
}

test::CommandResult doctor(std::vector<std::string> words) {
  words.insert(words.begin(), {TRIREME_BIN_DIR "/trireme", "doctor"});
  return test::run_command(words);
}

TEST(Doctor, SaysWhatRunsHere) {
  const test::TempDir folder;
  const auto result = doctor({"--dir", folder.path().string()});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  for (const char* word : {"in use by the kernels: ", "bf16 products by ", "/dev/shm", "cgroup", "loopback",
                           "gloo: ", "mpi: ", "Disk", "Advice"}) {
    EXPECT_THAT(result.out, HasSubstr(word));
  }
}

TEST(Doctor, ExitsWithOneWhereSomethingMustChange) {
  const auto disk = doctor({"--dir", "/proc"});
  EXPECT_EQ(disk.exit_code, 1);
  EXPECT_THAT(disk.out, HasSubstr("must change: checkpoints cannot be written to /proc"));
  const auto network = doctor({"--dir", "/tmp", "--interface", "nonsense0"});
  EXPECT_EQ(network.exit_code, 1);
  EXPECT_THAT(network.out, HasSubstr("nonsense0"));
}

TEST(Doctor, ComparesTheRanksOfALauncher) {
  const test::TempDir folder;
  const auto result = test::run_command({TRIREME_BIN_DIR "/trireme", "run", "--nproc-per-node", "2", "--",
                                         TRIREME_BIN_DIR "/trireme", "doctor", "--dir", folder.path().string()});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("Ranks (2, backend shm)"));
  EXPECT_THAT(result.out, ContainsRegex("rank 1 on .*: build [0-9.]+ [0-9a-f]+, .* clock [+-]0\\.0"));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("[rank 1]")));
}

}  // namespace
}  // namespace trireme::launcher
