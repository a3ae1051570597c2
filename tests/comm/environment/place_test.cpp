// What each launcher leaves, and what is read from it. The variables are those that the launchers were seen to set.
#include "trireme/comm/environment/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using Map = Variables::Map;

const Map kTorchrun = {{"RANK", "1"},
                       {"WORLD_SIZE", "4"},
                       {"LOCAL_RANK", "1"},
                       {"LOCAL_WORLD_SIZE", "2"},
                       {"GROUP_RANK", "0"},
                       {"GROUP_WORLD_SIZE", "2"},
                       {"MASTER_ADDR", "node-a"},
                       {"MASTER_PORT", "29500"},
                       {"TORCHELASTIC_RUN_ID", "j"},
                       {"TORCHELASTIC_RESTART_COUNT", "2"},
                       {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
const Map kOpenMpi = {
    {"OMPI_COMM_WORLD_RANK", "2"},       {"OMPI_COMM_WORLD_SIZE", "3"},
    {"OMPI_COMM_WORLD_LOCAL_RANK", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"},
    {"OMPI_COMM_WORLD_NODE_RANK", "2"},  {"OMPI_MCA_ess_base_jobid", "938082305"},
    {"OMPI_MCA_orte_num_nodes", "1"},    {"OMPI_MCA_orte_precondition_transports", "14e4228613cb6499-b1db99bda007c549"},
    {"PMIX_NAMESPACE", "938082305"},     {"PMIX_RANK", "2"}};
const Map kMvapich = {{"MV2_COMM_WORLD_RANK", "3"},
                      {"MV2_COMM_WORLD_SIZE", "4"},
                      {"MV2_COMM_WORLD_LOCAL_RANK", "1"},
                      {"MV2_COMM_WORLD_LOCAL_SIZE", "2"}};
const Map kHydra = {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}};
const Map kSlurm = {{"SLURM_PROCID", "2"},
                    {"SLURM_NTASKS", "3"},
                    {"SLURM_STEP_NUM_TASKS", "3"},
                    {"SLURM_LOCALID", "0"},
                    {"SLURM_NODEID", "1"},
                    {"SLURM_JOB_ID", "17"},
                    {"SLURM_STEP_ID", "4"},
                    {"SLURM_JOB_NODELIST", "n[1-9]"},
                    {"SLURM_STEP_NODELIST", "n[1-2]"},
                    {"SLURM_TASKS_PER_NODE", "8(x9)"},
                    {"SLURM_STEP_TASKS_PER_NODE", "2,1"}};
// As seen in the batch script of `sbatch -n4`.
const Map kBatchShell = {{"SLURM_PROCID", "0"},        {"SLURM_NTASKS", "4"}, {"SLURM_LOCALID", "0"},
                         {"SLURM_NODEID", "0"},        {"SLURM_JOB_ID", "4"}, {"SLURM_JOB_NODELIST", "n1"},
                         {"SLURM_TASKS_PER_NODE", "4"}};

Map with(Map map, const Map& more) {
  for (const auto& [name, value] : more) {
    map[name] = value;
  }
  return map;
}

Map without(Map map, const std::string& name) {
  map.erase(name);
  return map;
}

Place read(const Map& map) { return detect_place(Variables(map)); }

std::string error_of(const Map& map) {
  try {
    read(map);
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Place, NothingIsAWorldOfOne) {
  const Place place = read({{"HOME", "/root"}, {"RANK", ""}});
  EXPECT_EQ(place.launcher, "");
  EXPECT_EQ(place.size, 1);
  EXPECT_TRUE(place.on_one_host());
  EXPECT_EQ(place.warning, "");
}

TEST(Place, Torchrun) {
  const Place place = read(kTorchrun);
  EXPECT_EQ(place.launcher, "torchrun");
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 2);
  EXPECT_EQ(place.node, 0);
  EXPECT_EQ(place.nodes, 2);
  EXPECT_EQ(place.master_address, "node-a");
  EXPECT_EQ(place.master_port, 29500);
  EXPECT_TRUE(place.master_port_taken);
  EXPECT_FALSE(place.speaks_mpi);
  EXPECT_EQ(read(without(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE")).master_port_taken, false);
  EXPECT_EQ(read(with(without(kTorchrun, "GROUP_WORLD_SIZE"), {{"NNODES", "3"}})).nodes, 3);
  EXPECT_EQ(read(without(kTorchrun, "GROUP_WORLD_SIZE")).nodes, 0);
  EXPECT_NE(place.job, read(with(kTorchrun, {{"TORCHELASTIC_RESTART_COUNT", "3"}})).job);
}

TEST(Place, OpenMpi) {
  const Place place = read(kOpenMpi);
  EXPECT_EQ(place.launcher, "Open MPI");
  EXPECT_EQ(place.rank, 2);
  EXPECT_EQ(place.size, 3);
  EXPECT_EQ(place.local_rank, 2);
  EXPECT_EQ(place.local_size, 3);
  EXPECT_EQ(place.nodes, 1);
  EXPECT_EQ(place.job, "mpirun/938082305");
  EXPECT_EQ(place.secret, "14e4228613cb6499-b1db99bda007c549");
  EXPECT_TRUE(place.speaks_mpi);
  EXPECT_EQ(place.master_port, 0);
  EXPECT_EQ(read(without(kOpenMpi, "PMIX_NAMESPACE")).job, "mpirun/938082305");
  const Place several = read(with(kOpenMpi, {{"OMPI_COMM_WORLD_SIZE", "6"}, {"OMPI_MCA_orte_num_nodes", "2"}}));
  EXPECT_EQ(several.nodes, 2);
  EXPECT_EQ(several.node, -1);
}

TEST(Place, Mvapich) {
  const Place place = read(kMvapich);
  EXPECT_EQ(place.launcher, "MVAPICH");
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 2);
  EXPECT_EQ(place.nodes, 0);
  EXPECT_FALSE(place.speaks_mpi);
}

TEST(Place, Mpich) {
  const Place place = read(kHydra);
  EXPECT_EQ(place.launcher, "MPICH");
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.size, 2);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_TRUE(place.on_one_host());
}

TEST(Place, Slurm) {
  const Place place = read(kSlurm);
  EXPECT_EQ(place.launcher, "Slurm");
  EXPECT_EQ(place.rank, 2);
  EXPECT_EQ(place.size, 3);
  EXPECT_EQ(place.local_rank, 0);
  EXPECT_EQ(place.local_size, 1);
  EXPECT_EQ(place.node, 1);
  EXPECT_EQ(place.nodes, 2);
  EXPECT_THAT(place.hosts, testing::ElementsAre("n1", "n2"));
  EXPECT_EQ(place.job, "slurm/17.4/");
  EXPECT_FALSE(place.speaks_mpi);
  EXPECT_TRUE(read(with(kSlurm, {{"PMIX_RANK", "2"}, {"PMIX_NAMESPACE", "slurm.pmix.17.4"}})).speaks_mpi);
  EXPECT_EQ(read(with(kSlurm, {{"SLURM_RESTART_COUNT", "1"}})).job, "slurm/17.4/1");
}

TEST(Place, SlurmWithTheNamesOfTheJobAlone) {
  Map older = kSlurm;
  for (const char* name : {"SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"}) {
    older.erase(name);
  }
  older["SLURM_JOB_NODELIST"] = "n[1-2]";
  older["SLURM_TASKS_PER_NODE"] = "2,1";
  EXPECT_EQ(read(older).local_size, 1);
}

TEST(Place, TheShellsOfASlurmJobAreNoRanks) {
  for (const char* step : {"", "batch", "interactive", "4294967290", "4294967291"}) {
    SCOPED_TRACE(step);
    const Place place = read(with(kBatchShell, {{"SLURM_STEP_ID", step}}));
    EXPECT_EQ(place.launcher, "");
    EXPECT_EQ(place.size, 1);
    EXPECT_THAT(place.warning,
                testing::HasSubstr("a Slurm job of 4 tasks; to train on all of them start it with srun"));
  }
  EXPECT_EQ(read(with(kBatchShell, {{"SLURM_NTASKS", "1"}})).warning, "");
}

TEST(Place, PmiAlone) {
  const Place place = read({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"PMI_JOBID", "3.0"}});
  EXPECT_EQ(place.launcher, "PMI");
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.size, 2);
  EXPECT_EQ(place.local_size, 0);
  EXPECT_EQ(place.job, "pmi/3.0");
  EXPECT_TRUE(read({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}).on_one_host());
}

TEST(Place, PmixAloneDoesNotTellTheNumberOfRanks) {
  EXPECT_THAT(error_of({{"PMIX_RANK", "1"}, {"PMIX_NAMESPACE", "prte@1"}}),
              testing::AllOf(testing::HasSubstr("PMIX_RANK=1"), testing::HasSubstr("how many ranks")));
}

TEST(Place, WhoWinsWhenSeveralHaveLeftTheirNames) {
  const struct {
    const char* what;
    Map map;
    const char* launcher;
  } cases[] = {
      {"trireme run in an srun step", with(kSlurm, kTorchrun), "torchrun"},
      {"torchrun under mpirun", with(kOpenMpi, kTorchrun), "torchrun"},
      {"mpirun inside a Slurm job: the daemons are an srun step", with(kSlurm, kOpenMpi), "Open MPI"},
      {"mpirun in the batch script", with(kBatchShell, kOpenMpi), "Open MPI"},
      {"mpiexec of MPICH inside a Slurm job", with(kSlurm, kHydra), "MPICH"},
      {"MVAPICH, which sets PMI's names too", with(kMvapich, kHydra), "MVAPICH"},
      {"srun --mpi=pmi2", with(kSlurm, {{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"PMI_JOBID", "17.4"}}), "Slurm"},
      {"srun --mpi=pmix", with(kSlurm, {{"PMIX_RANK", "2"}, {"PMIX_NAMESPACE", "slurm.pmix.17.4"}}), "Slurm"},
      {"trireme run in the batch script", with(kBatchShell, kTorchrun), "torchrun"},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(read(one.map).launcher, one.launcher) << one.what;
  }
}

TEST(Place, ALauncherTakesItsMeetingPointFromThePerson) {
  for (const Map& launcher : {kOpenMpi, kMvapich, kHydra, kSlurm}) {
    const Place place = read(with(launcher, {{"MASTER_ADDR", "node-a"}, {"MASTER_PORT", "29500"}}));
    EXPECT_EQ(place.master_address, "node-a");
    EXPECT_EQ(place.master_port, 29500);
    EXPECT_FALSE(place.master_port_taken);
  }
}

TEST(Place, EveryHalfSetEnvironmentNamesWhatIsMissing) {
  const struct {
    Map map;
    std::vector<std::string> names;
  } cases[] = {
      {kTorchrun, {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}},
      {kOpenMpi,
       {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"}},
      {kMvapich,
       {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"}},
      {kHydra, {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}},
      {kSlurm, {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_JOB_ID"}},
      {{{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}, {"PMI_RANK", "PMI_SIZE"}},
  };
  for (const auto& one : cases) {
    for (const std::string& name : one.names) {
      EXPECT_THAT(error_of(without(one.map, name)), testing::HasSubstr(name + " not set")) << name;
    }
  }
  Map slurm = without(without(kSlurm, "SLURM_JOB_NODELIST"), "SLURM_STEP_NODELIST");
  EXPECT_THAT(error_of(slurm), testing::HasSubstr("SLURM_STEP_NODELIST not set"));
  slurm = without(without(kSlurm, "SLURM_NTASKS"), "SLURM_STEP_NUM_TASKS");
  EXPECT_THAT(error_of(slurm), testing::HasSubstr("SLURM_NTASKS not set"));
  EXPECT_THAT(error_of({{"MASTER_PORT", "1"}}),
              testing::HasSubstr("RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR not set"));
}

TEST(Place, NumbersMustFitTogether) {
  const struct {
    Map map;
    const char* text;
  } cases[] = {
      {with(kTorchrun, {{"RANK", "4"}}), "RANK=4 given, a number from 0 to 3"},
      {with(kTorchrun, {{"WORLD_SIZE", "4x"}}), "WORLD_SIZE=4x"},
      {with(kTorchrun, {{"WORLD_SIZE", "99999999999999999999"}}), "WORLD_SIZE=9999"},
      {with(kTorchrun, {{"MASTER_PORT", "70000"}}), "MASTER_PORT=70000"},
      {with(kTorchrun, {{"LOCAL_WORLD_SIZE", "5"}}), "LOCAL_WORLD_SIZE=5"},
      {with(kOpenMpi, {{"OMPI_COMM_WORLD_RANK", "-1"}}), "OMPI_COMM_WORLD_RANK=-1"},
      {with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_RANK", "3"}}), "OMPI_COMM_WORLD_LOCAL_RANK=3"},
      {with(kSlurm, {{"SLURM_LOCALID", "1"}}), "SLURM_LOCALID=1"},
      {with(kSlurm, {{"SLURM_NODEID", "2"}}), "SLURM_NODEID=2"},
      {with(kSlurm, {{"SLURM_STEP_TASKS_PER_NODE", "2(x2)"}}), "is 4 tasks on 2 hosts, but 3 tasks on 2 hosts run"},
      {with(kSlurm, {{"SLURM_STEP_NODELIST", "n[1-"}}), "host list \"n[1-\""},
      {with(kSlurm, {{"WORLD_SIZE", "8"}}), "WORLD_SIZE=8 given, but Slurm has started 3"},
      {with(kOpenMpi, {{"RANK", "0"}}), "WORLD_SIZE, LOCAL_RANK"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(error_of(one.map), testing::HasSubstr(one.text));
  }
}

// RANK=0 WORLD_SIZE=1 from an outer environment would make every process of mpirun a world of its own.
TEST(Place, AWorldOfOneLeftOverFromOutsideIsRefused) {
  const Map left_over = {{"RANK", "0"},
                         {"WORLD_SIZE", "1"},
                         {"LOCAL_RANK", "0"},
                         {"LOCAL_WORLD_SIZE", "1"},
                         {"MASTER_ADDR", "localhost"},
                         {"MASTER_PORT", "29500"}};
  EXPECT_EQ(read(left_over).size, 1);
  for (const Map& launcher : {kOpenMpi, kMvapich, kHydra, kSlurm}) {
    EXPECT_THAT(error_of(with(launcher, left_over)), testing::HasSubstr("unset RANK, WORLD_SIZE"));
    EXPECT_EQ(read(with(with(launcher, left_over), {{"TORCHELASTIC_RUN_ID", "j"}})).size, 1);  // an agent in each task
  }
}

}  // namespace
}  // namespace trireme::comm
