#include "trireme/comm/environment.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "trireme/comm/store/tcp_store.h"

namespace trireme::comm {
namespace {

constexpr const char* kVariables[] = {"RANK",        "WORLD_SIZE",  "LOCAL_RANK",        "LOCAL_WORLD_SIZE",
                                      "MASTER_ADDR", "MASTER_PORT", "TRIREME_JOB_TOKEN", "TRIREME_MAX_WORLD_SIZE"};

class Environment : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : kVariables) {
      unsetenv(variable);
    }
  }
  void TearDown() override { SetUp(); }

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

TEST_F(Environment, NumbersAreChecked) {
  set(2, 2, 29500);
  expect_error({}, {"RANK=2"});
  set(0, 2, 29500);
  setenv("WORLD_SIZE", "2x", 1);
  expect_error({}, {"WORLD_SIZE=2x"});
  set(0, 2, 70000);
  expect_error({}, {"MASTER_PORT=70000"});
}

TEST_F(Environment, BackendsAreNamed) {
  expect_error({.backend = "tcp"}, {"\"tcp\"", "auto, local and shm"});
  expect_error({.backend = "nccl"}, {"\"nccl\"", "this build does not have"});
  set(0, 2, 29500);
  expect_error({.backend = "local"}, {"threads of one process"});
}

TEST_F(Environment, RanksOnOtherHostsAreAnError) {
  set(0, 4, 29500);
  setenv("LOCAL_WORLD_SIZE", "2", 1);
  expect_error({}, {"2 of 4 ranks are on this host"});
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
  expect_error({.timeout = std::chrono::milliseconds(200)}, {"shm/rank/1"});
}

TEST_F(Environment, TwoProcessesMeet) {
  int port = 0;
  {
    const TcpStoreServer free_port("127.0.0.1", 0, "");
    port = free_port.port();
  }
  setenv("TRIREME_JOB_TOKEN", "secret", 1);
  std::vector<pid_t> children;
  for (int rank = 0; rank < 2; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      set(rank, 2, port);
      int status = 1;
      try {
        const World world = from_environment({.timeout = std::chrono::seconds(20)});
        const Array array = Array::full({1000}, rank + 1);
        world->all_reduce(array).wait();
        status = world->backend() == "shm" && array.data<float>()[999] == 3 ? 0 : 2;
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      _exit(status);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
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
