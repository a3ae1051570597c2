// A process that dies on one host: every rank of every host is told soon who it was.
#include <gtest/gtest.h>

#include <thread>

#include "tests/comm/deaths.h"
#include "tests/comm/ranks.h"

namespace trireme::test {
namespace {

using comm::Communicator;

template <class F>
void expect_death_of(int victim, F f) {
  expect_failure_by(victim, {}, std::chrono::seconds(10), f);
}

// Backend, ranks, victim. Of four ranks all are carriers; of seven, rank 3 is none, and its mates must tell of it.
class HostDeath : public testing::TestWithParam<std::tuple<Backend, int, int>> {};
INSTANTIATE_TEST_SUITE_P(Ranks, HostDeath,
                         testing::Combine(testing::Values(Backend{"hosts_of_processes", run_hosts_of_processes},
                                                          Backend{"shm_and_gloo", run_shm_and_gloo}),
                                          testing::Values(4, 7), testing::Values(0, 3)),
                         [](const auto& info) {
                           return fmt::format("{}_{}_victim_{}", std::get<0>(info.param).name, std::get<1>(info.param),
                                              std::get<2>(info.param));
                         });

TEST_P(HostDeath, IsToldToAllRanksOfAllHosts) {
  const auto [backend, size, victim] = GetParam();
  backend.run(size,
              [victim = victim](Communicator& comm) {
                comm.barrier().wait();
                if (comm.rank() == victim) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // let the others fall asleep
                  die();
                }
                expect_death_of(victim, [&] { comm.all_reduce(Array::zeros({10})).wait(); });
              },
              {.killed_rank = victim});
}

TEST_P(HostDeath, InTheMiddleOfLargeOperationsIsToldToAll) {
  const auto [backend, size, victim] = GetParam();
  backend.run(size,
              [victim = victim](Communicator& comm) {
                const Array array = Array::zeros({3 << 20});
                expect_death_of(victim, [&] {
                  for (int turn = 0;; ++turn) {
                    const comm::Work work = comm.all_reduce(array);
                    if (comm.rank() == victim && turn == 2) {
                      die();
                    }
                    work.wait();
                  }
                });
              },
              {.killed_rank = victim});
}

}  // namespace
}  // namespace trireme::test
