// Which processes are workers and which are servers, under every way of starting them.
#include "trireme/comm/environment/role.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using Map = Variables::Map;
using testing::HasSubstr;

Map trireme_run_worker(int rank) {
  return {{"RANK", std::to_string(rank)},
          {"WORLD_SIZE", "3"},
          {"LOCAL_RANK", std::to_string(rank)},
          {"LOCAL_WORLD_SIZE", "3"},
          {"MASTER_ADDR", "127.0.0.1"},
          {"MASTER_PORT", "4000"},
          {"ROLE_NAME", "default"},
          {"ROLE_RANK", std::to_string(rank)},
          {"ROLE_WORLD_SIZE", "3"},
          {"TRIREME_WORKERS", "3"},
          {"TRIREME_SERVERS", "2"}};
}
Map trireme_run_server(int index) {
  return {{"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "4000"},
          {"ROLE_NAME", "server"},      {"ROLE_RANK", std::to_string(index)},
          {"ROLE_WORLD_SIZE", "2"},     {"TRIREME_WORKERS", "3"},
          {"TRIREME_SERVERS", "2"}};
}
Map mpirun(int rank) {
  return {{"OMPI_COMM_WORLD_RANK", std::to_string(rank)},
          {"OMPI_COMM_WORLD_SIZE", "5"},
          {"OMPI_COMM_WORLD_LOCAL_RANK", std::to_string(rank)},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", "5"}};
}
Map srun(int rank) {
  return {{"SLURM_PROCID", std::to_string(rank)},
          {"SLURM_NTASKS", "5"},
          {"SLURM_STEP_NUM_TASKS", "5"},
          {"SLURM_LOCALID", "0"},
          {"SLURM_NODEID", std::to_string(rank)},
          {"SLURM_JOB_ID", "17"},
          {"SLURM_STEP_ID", "4"},
          {"SLURM_STEP_NODELIST", "n[1-5]"},
          {"SLURM_STEP_TASKS_PER_NODE", "1(x5)"}};
}

struct Case {
  const char* name;
  Map variables;
  int servers;
  ProcessRole expected;
};

class Role : public testing::TestWithParam<Case> {};

const std::vector<Case> kCases = {
    {"alone", {}, 0, {false, 0, 1, 0}},
    {"run_worker_0", trireme_run_worker(0), 0, {false, 0, 3, 2}},
    {"run_worker_2", trireme_run_worker(2), 2, {false, 2, 3, 2}},
    {"run_server_0", trireme_run_server(0), 0, {true, 0, 3, 2}},
    {"run_server_1", trireme_run_server(1), 2, {true, 1, 3, 2}},
    {"mpirun_without_servers", mpirun(4), 0, {false, 4, 5, 0}},
    {"mpirun_first", mpirun(0), 2, {false, 0, 3, 2}},
    {"mpirun_last_worker", mpirun(2), 2, {false, 2, 3, 2}},
    {"mpirun_first_server", mpirun(3), 2, {true, 0, 3, 2}},
    {"mpirun_last_server", mpirun(4), 2, {true, 1, 3, 2}},
    {"mpirun_one_worker", mpirun(1), 4, {true, 0, 1, 4}},
    {"srun_worker", srun(3), 1, {false, 3, 4, 1}},
    {"srun_server", srun(4), 1, {true, 0, 4, 1}},
};

TEST_P(Role, FollowsFromTheEnvironment) {
  const ProcessRole role = detect_role(Variables(GetParam().variables), GetParam().servers);
  const ProcessRole& expected = GetParam().expected;
  EXPECT_EQ(role.server, expected.server);
  EXPECT_EQ(role.index, expected.index);
  EXPECT_EQ(role.workers, expected.workers);
  EXPECT_EQ(role.servers, expected.servers);
}

INSTANTIATE_TEST_SUITE_P(Launchers, Role, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

std::string usage_error(const Map& variables, int servers) {
  try {
    detect_role(Variables(variables), servers);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(RoleErrors, SayWhatToDo) {
  EXPECT_THAT(usage_error({}, 2), HasSubstr("start it with `trireme run --servers 2"));
  EXPECT_THAT(usage_error(mpirun(0), 5), HasSubstr("Open MPI has started 5 processes"));
  EXPECT_THAT(usage_error(trireme_run_worker(0), 3), HasSubstr("--servers 3 given, but the launcher has started 2"));
  EXPECT_THAT(usage_error(mpirun(0), -1), HasSubstr("--servers -1"));
}

TEST(PlaceInRole, WorkersStandAmongThemselves) {
  const auto place_of = [](const Map& map, int servers) {
    const Variables variables(map);
    return place_in_role(variables, detect_role(variables, servers));
  };
  const Place worker = place_of(mpirun(2), 2);
  EXPECT_EQ(worker.rank, 2);
  EXPECT_EQ(worker.size, 3);
  EXPECT_TRUE(worker.on_one_host());
  EXPECT_FALSE(worker.speaks_mpi);
  const Place scattered = place_of(srun(3), 1);
  EXPECT_EQ(scattered.size, 4);
  EXPECT_FALSE(scattered.on_one_host());
  EXPECT_EQ(scattered.hosts, place_of(srun(4), 1).hosts);
  EXPECT_EQ(place_of(mpirun(4), 0).size, 5);
}

TEST(PlaceInRole, AServerOfTriremeRunKnowsWhereWorker0CanBeMet) {
  const Variables variables(trireme_run_server(1));
  const Place place = place_in_role(variables, detect_role(variables, 0));
  EXPECT_EQ(place.size, 3);
  EXPECT_EQ(place.master_address, "127.0.0.1");
  EXPECT_EQ(place.master_port, 4000);
}

TEST(RoleName, HasAName) {
  EXPECT_EQ(name_of(ProcessRole{.server = true, .index = 1, .workers = 3, .servers = 2}), "server 1");
  EXPECT_EQ(name_of(ProcessRole{.index = 2, .workers = 3}), "worker 2");
}

}  // namespace
}  // namespace trireme::comm
