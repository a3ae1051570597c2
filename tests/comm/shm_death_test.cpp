// Processes that die in the middle: every survivor is told within moments who it was, and nothing is left behind.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/comm/deaths.h"
#include "tests/comm/ranks.h"

namespace trireme::test {
namespace {

using comm::CommError;
using comm::Communicator;

template <class F>
void expect_death_of(int victim, F f) {
  expect_failure_by(victim, {"rank " + std::to_string(victim) + " (pid ", "is dead"}, std::chrono::seconds(10), f);
}

std::vector<std::string> entries_of_dev_shm() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ShmDeath : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, ShmDeath, testing::Values(2, 3, 4, 7));

TEST_P(ShmDeath, BeforeAnOperationWhileTheOthersSleepInIt) {
  const int victim = GetParam() - 1;
  run_processes(GetParam(),
                [&](Communicator& comm) {
                  comm.barrier().wait();
                  if (comm.rank() == victim) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(20));
                    die();
                  }
                  expect_death_of(victim, [&] { comm.all_reduce(Array::zeros({10})).wait(); });
                },
                {.killed_rank = victim});
}

TEST_P(ShmDeath, InTheMiddleOfLargeOperations) {
  run_processes(GetParam(),
                [&](Communicator& comm) {
                  const Array array =
                      comm.rank() % 2 == 0 ? comm.allocate({1 << 20}, DType::f32) : Array::zeros({1 << 20});
                  comm.all_reduce(array).wait();
                  expect_death_of(0, [&] {
                    for (int turn = 0;; ++turn) {
                      const comm::Work work = comm.all_reduce(array);
                      if (comm.rank() == 0 && turn == 3) {
                        die();
                      }
                      work.wait();
                    }
                  });
                },
                {.killed_rank = 0});
}

TEST_P(ShmDeath, OfTheSenderOfAMessage) {
  run_processes(GetParam(),
                [&](Communicator& comm) {
                  if (comm.rank() == 0) {
                    die();
                  }
                  expect_death_of(0, [&] { comm.recv(Array::zeros({10}), 0).wait(); });
                },
                {.killed_rank = 0});
}

TEST_P(ShmDeath, AfterItsLastShareIsNoError) {
  const int victim = GetParam() - 1;
  run_processes(GetParam(),
                [&](Communicator& comm) {
                  const Array array = comm.allocate({1 << 16}, DType::f32);
                  array.fill(1);
                  comm.all_reduce(array).wait();
                  if (comm.rank() == victim) {
                    die();
                  }
                  EXPECT_EQ(array.data<float>()[0], static_cast<float>(comm.size()));
                },
                {.killed_rank = victim});
}

TEST(ShmStall, NamesARankThatIsStopped) {
  run_processes(2, [](Communicator& comm) {
    const Array pid = Array::from(std::vector<std::int64_t>{getpid()}, {1});
    const Array pids = Array::empty({2}, DType::i64);
    comm.all_gather(pid, pids).wait();
    if (comm.rank() == 1) {
      raise(SIGSTOP);
      return;
    }
    try {
      comm.barrier({.timeout = std::chrono::milliseconds(200)}).wait();
      ADD_FAILURE() << "no error";
    } catch (const comm::CommError& error) {
      EXPECT_NE(std::string(error.what()).find("is stopped (state T"), std::string::npos) << error.what();
    }
    kill(static_cast<pid_t>(pids.data<std::int64_t>()[1]), SIGCONT);
  });
}

TEST(ShmStall, LooksAtThePeersOfASplitToo) {
  run_processes(3, [](Communicator& comm) {
    const auto pair = comm.split(comm.rank() == 0 ? -1 : 0, 0);
    if (comm.rank() == 2) {
      enter_phase(Phase::updating);
      std::this_thread::sleep_for(std::chrono::milliseconds(250));
    } else if (comm.rank() == 1) {
      try {
        pair->barrier({.timeout = std::chrono::milliseconds(200)}).wait();
        ADD_FAILURE() << "no error";
      } catch (const comm::CommError& error) {
        EXPECT_NE(std::string(error.what()).find("is in the optimizer's update since 0."), std::string::npos)
            << error.what();
      }
    }
  });
}

TEST(ShmMemory, LeavesNothingBehind) {
  const std::vector<std::string> before = entries_of_dev_shm();
  run_processes(2,
                [](Communicator& comm) {
                  const Array array = comm.allocate({1 << 20}, DType::f32);
                  array.fill(1);
                  comm.all_reduce(array).wait();
                  if (comm.rank() == 1) {
                    die();
                  }
                },
                {.killed_rank = 1});
  EXPECT_EQ(entries_of_dev_shm(), before);
}

TEST(ShmMemory, FreedArraysAreUsedAgain) {
  run_processes(2, [](Communicator& comm) {
    const std::byte* first = comm.allocate({1 << 18}, DType::f32).bytes_data();
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(comm.allocate({1 << 18}, DType::f32).bytes_data(), first);
    }
  });
}

TEST(ShmMemory, ArraysOutliveTheirCommunicator) {
  run_processes(2, [](Communicator& comm) {
    auto child = comm.split(0, 0);
    const Array array = child->allocate({100000}, DType::f32);
    child.reset();
    array.fill(3);
    comm.all_reduce(array).wait();
    EXPECT_EQ(array.data<float>()[99999], 6);
  });
}

}  // namespace
}  // namespace trireme::test
