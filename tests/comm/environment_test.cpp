#include "trireme/comm/environment.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "trireme/comm/store/tcp_store.h"

namespace trireme::comm {
namespace {

// Everything that a launcher around the tests may have left.
bool is_launchers(const std::string& name) {
  for (const char* prefix : {"RANK", "WORLD_SIZE", "LOCAL_", "MASTER_", "TORCHELASTIC_", "TRIREME_", "OMPI_", "PMI",
                             "MPI_", "MV2_", "SLURM_"}) {
    if (name.rfind(prefix, 0) == 0) {
      return true;
    }
  }
  return false;
}

void unset_all() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    names.push_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names) {
    if (is_launchers(name)) {
      unsetenv(name.c_str());
    }
  }
}

class Environment : public testing::Test {
 protected:
  void SetUp() override { unset_all(); }
  void TearDown() override { unset_all(); }

  static void set(int rank, int size, int port) {
    setenv("RANK", std::to_string(rank).c_str(), 1);
    setenv("WORLD_SIZE", std::to_string(size).c_str(), 1);
    setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
    setenv("LOCAL_WORLD_SIZE", std::to_string(size).c_str(), 1);
    setenv("MASTER_ADDR", "127.0.0.1", 1);
    setenv("MASTER_PORT", std::to_string(port).c_str(), 1);
  }

  static void expect_error(const EnvironmentOptions& options, const std::vector<std::string>& texts) {
    try {
      from_environment(options);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      for (const std::string& text : texts) {
        EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
      }
    }
  }
};

TEST_F(Environment, WithoutVariablesIsAWorldOfOne) {
  const World world = from_environment();
  EXPECT_EQ(world.rank(), 0);
  EXPECT_EQ(world.size(), 1);
  EXPECT_EQ(world.default_lanes(), 1);
  EXPECT_EQ(world->backend(), "local");
}

TEST_F(Environment, AWorldOfOneDoesEverything) {
  for (const char* backend : {"local", "shm"}) {
    const World world = from_environment({.backend = backend});
    EXPECT_EQ(world->backend(), backend);
    const Array array = Array::from(std::vector<float>{1, 2, 3}, {3});
    const Array other = Array::zeros({3});
    world->all_reduce(array).wait();
    world->all_gather(array, other).wait();
    EXPECT_EQ(other.to_vector<float>(), (std::vector<float>{1, 2, 3}));
    world->all_to_all(array, other).wait();
    world->broadcast(other, 0).wait();
    world->barrier().wait();
    const BatchSplit split{3, 1, 3};
    std::vector<Part> parts;
    for (const Subtree subtree : split.parts_of(0, 1)) {
      parts.push_back({subtree, array});
    }
    world->all_reduce_parts(parts, ReductionLayout::make(split, 1), other).wait();
    EXPECT_EQ(other.to_vector<float>(), (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(world->split(0, 0)->size(), 1);
    EXPECT_EQ(world->split(-1, 0), nullptr);
    EXPECT_THROW(world->broadcast(array, 1), Error);
    world->abort("enough");
    EXPECT_THROW(world->barrier().wait(), CommError);
  }
}

TEST_F(Environment, AMissingVariableIsNamed) {
  set(0, 2, 29500);
  unsetenv("MASTER_PORT");
  expect_error({}, {"MASTER_PORT not set"});
  SetUp();
  setenv("RANK", "1", 1);
  expect_error({}, {"WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set"});
}

TEST_F(Environment, BackendsAreNamed) {
  expect_error({.backend = "tcp"}, {"\"tcp\"", "auto, local, shm, gloo, mpi, hierarchical expected"});
  expect_error({.backend = "nccl"}, {"\"nccl\"", "this build does not have"});
  set(0, 2, 29500);
  expect_error({.backend = "local"}, {"threads of one process"});
}

TEST_F(Environment, LanesComeFromTheLargestWorldThatTheLauncherAllows) {
  setenv("TRIREME_MAX_WORLD_SIZE", "6", 1);
  EXPECT_EQ(from_environment().default_lanes(), 6);
}

TEST_F(Environment, AMissingPeerIsAnErrorAtTheDeadline) {
  int port = 0;
  {
    const TcpStoreServer free_port("127.0.0.1", 0, "");
    port = free_port.port();
  }
  set(1, 2, port);
  expect_error({.timeout = std::chrono::milliseconds(200)}, {"MASTER_ADDR:MASTER_PORT", "is rank 0 running"});
  set(0, 2, port);
  expect_error({.timeout = std::chrono::milliseconds(200)}, {"rank 1 of 2 did not arrive within 200 ms"});
}

using Names = std::map<std::string, std::string>;

// Starts one process for each environment; each adds up the ranks + 1 over `backend`. True if all saw the sum and
// `backend` carried it.
bool all_meet(const std::vector<Names>& environments, const EnvironmentOptions& options, const char* backend) {
  std::vector<pid_t> children;
  const auto size = static_cast<float>(environments.size());
  for (const Names& names : environments) {
    const pid_t pid = fork();
    if (pid == 0) {
      int status = 1;
      try {
        for (const auto& [name, value] : names) {
          setenv(name.c_str(), value.c_str(), 1);
        }
        const World world = from_environment(options);
        const Array array = Array::full({1000}, world.rank() + 1);
        world->all_reduce(array).wait();
        status = world->backend() == backend && array.data<float>()[999] == size * (size + 1) / 2 ? 0 : 2;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      _exit(status);
    }
    children.push_back(pid);
  }
  bool all = true;
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    all = status == 0 && all;
  }
  return all;
}

const EnvironmentOptions kPatient{.timeout = std::chrono::seconds(20)};

TEST_F(Environment, TwoProcessesMeet) {
  int port = 0;
  {
    const TcpStoreServer free_port("127.0.0.1", 0, "");
    port = free_port.port();
  }
  const auto rank = [&](const char* number) -> Names {
    return {{"RANK", number},
            {"WORLD_SIZE", "2"},
            {"LOCAL_RANK", number},
            {"LOCAL_WORLD_SIZE", "2"},
            {"MASTER_ADDR", "127.0.0.1"},
            {"MASTER_PORT", std::to_string(port)},
            {"TRIREME_JOB_TOKEN", "secret"}};
  };
  EXPECT_TRUE(all_meet({rank("0"), rank("1")}, kPatient, "shm"));
}

// A store in a process of its own: the ranks are forked, from a process that should have no other threads.
class ForeignStore {
 public:
  ForeignStore() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const TcpStoreServer server("127.0.0.1", 0, "not ours");
      const int port = server.port();
      const ssize_t written = write(ends[1], &port, sizeof port);
      while (written == sizeof port) {
        pause();
      }
      _exit(1);
    }
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &port_, sizeof port_), static_cast<ssize_t>(sizeof port_));
    close(ends[0]);
  }
  ~ForeignStore() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  ForeignStore(const ForeignStore&) = delete;
  ForeignStore& operator=(const ForeignStore&) = delete;

  int port() const { return port_; }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
};

// torchrun's agent has a store of its own at MASTER_PORT.
TEST_F(Environment, RanksMeetBesideTheStoreOfAForeignLauncher) {
  const ForeignStore taken;
  const auto rank = [&](const char* number) -> Names {
    return {{"RANK", number},
            {"WORLD_SIZE", "2"},
            {"LOCAL_RANK", number},
            {"LOCAL_WORLD_SIZE", "2"},
            {"MASTER_ADDR", "localhost"},
            {"MASTER_PORT", std::to_string(taken.port())},
            {"TORCHELASTIC_RUN_ID", "test " + std::to_string(getpid())},
            {"TORCHELASTIC_RESTART_COUNT", "0"},
            {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
  };
  EXPECT_TRUE(all_meet({rank("0"), rank("1")}, kPatient, "shm"));
}

TEST_F(Environment, RanksOfMpirunMeetUnderTheNameOfTheirJob) {
  const auto rank = [&](const char* number) -> Names {
    return {{"OMPI_COMM_WORLD_RANK", number},
            {"OMPI_COMM_WORLD_SIZE", "2"},
            {"OMPI_COMM_WORLD_LOCAL_RANK", number},
            {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
            {"PMIX_NAMESPACE", "test " + std::to_string(getpid())}};
  };
  EXPECT_TRUE(all_meet({rank("0"), rank("1")}, kPatient, "shm"));
}

TEST_F(Environment, RanksOfMpichMeetThroughTheirParent) {
  const auto rank = [&](const char* number) -> Names {
    return {{"PMI_RANK", number}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", number}, {"MPI_LOCALNRANKS", "2"}};
  };
  EXPECT_TRUE(all_meet({rank("0"), rank("1")}, kPatient, "shm"));
}

// Two nodes that are one machine: what the ranks find out counts, not what the launcher says.
Names slurm_task(const std::string& rank, const std::string& node, const std::string& job) {
  return {{"SLURM_PROCID", rank},
          {"SLURM_STEP_NUM_TASKS", "3"},
          {"SLURM_LOCALID", rank == "1" ? "1" : "0"},
          {"SLURM_NODEID", node},
          {"SLURM_JOB_ID", std::to_string(getpid()) + job},
          {"SLURM_STEP_ID", "0"},
          {"SLURM_STEP_NODELIST", "localhost,n2"},
          {"SLURM_STEP_TASKS_PER_NODE", "2,1"}};
}

TEST_F(Environment, TasksOfSlurmMeetOnTheFirstHost) {
  EXPECT_TRUE(
      all_meet({slurm_task("0", "0", "1"), slurm_task("1", "0", "1"), slurm_task("2", "1", "1")}, kPatient, "shm"));
}

TEST_F(Environment, SharedMemoryOverSeveralHostsIsAnErrorOnEveryRank) {
  std::vector<Names> tasks = {slurm_task("0", "0", "2"), slurm_task("1", "0", "2"), slurm_task("2", "1", "2")};
  tasks[2]["TRIREME_HOST_NAME"] = "elsewhere";
  testing::internal::CaptureStderr();
  EXPECT_FALSE(all_meet(tasks, {.backend = "shm", .timeout = std::chrono::seconds(20)}, "shm"));
  const std::string errors = testing::internal::GetCapturedStderr();
  const std::string expected = "backend shm: the ranks are on 2 hosts";
  EXPECT_NE(errors.find(expected), std::string::npos) << errors;
  EXPECT_NE(errors.find(expected), errors.rfind(expected)) << errors;
}

TEST_F(Environment, SeveralHostsWithoutAMeetingPointAreAnError) {
  setenv("PMI_RANK", "0", 1);
  setenv("PMI_SIZE", "2", 1);
  expect_error({}, {"names no place where they can meet", "MASTER_ADDR", "MASTER_PORT"});
}

TEST(RunLocal, RethrowsTheFirstExceptionAndAbortsTheOthers) {
  const auto body = [](World world) {
    if (world.rank() == 1) {
      fail("rank 1 has no data");
    }
    world->barrier().wait();
  };
  try {
    run_local(3, body);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "rank 1 has no data");
  }
}

}  // namespace
}  // namespace trireme::comm
