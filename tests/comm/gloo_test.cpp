// Gloo between processes that die, hang, or look for each other in the wrong place.
#include "trireme/comm/gloo/gloo.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "tests/comm/deaths.h"
#include "tests/comm/ranks.h"
#include "tests/support/temp_dir.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/comm/store/memory_store.h"

namespace trireme::test {
namespace {

using comm::Communicator;

class Gloo : public testing::Test {
 protected:
  void SetUp() override {
    if (!comm::has_gloo()) {
      GTEST_SKIP() << "this build has no Gloo";
    }
  }
};

class GlooDeath : public Gloo, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, GlooDeath, testing::Values(2, 3, 7));

TEST_P(GlooDeath, InTheMiddleOfLargeOperationsIsNoticedByAll) {
  const int victim = GetParam() / 2;
  run_gloo(GetParam(),
           [&](Communicator& comm) {
             const Array array = Array::zeros({1 << 20});
             comm.all_reduce(array).wait();
             const auto begin = std::chrono::steady_clock::now();
             expect_failure_by(victim, {"is dead or cannot be reached"}, std::chrono::seconds(10), [&] {
               for (int turn = 0;; ++turn) {
                 const comm::Work work = comm.all_reduce(array);
                 if (comm.rank() == victim && turn == 3) {
                   die();
                 }
                 work.wait();
               }
             });
             EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
           },
           {.killed_rank = victim});
}

TEST_P(GlooDeath, BeforeAnOperationWhileTheOthersSleepInItIsNoticedInTime) {
  const int victim = GetParam() - 1;
  run_gloo(GetParam(),
           [&](Communicator& comm) {
             comm.barrier().wait();
             if (comm.rank() == victim) {
               std::this_thread::sleep_for(std::chrono::milliseconds(50));
               die();
             }
             expect_failure_by(victim, {"is dead or cannot be reached"}, std::chrono::milliseconds(1500),
                               [&] { comm.all_reduce(Array::zeros({10})).wait(); });
           },
           {.killed_rank = victim});
}

TEST_P(GlooDeath, OfTheSenderOfAMessageIsNoticed) {
  run_gloo(GetParam(),
           [&](Communicator& comm) {
             comm.barrier().wait();
             if (comm.rank() == 0) {
               die();
             }
             expect_failure_by(0, {"is dead or cannot be reached"}, std::chrono::milliseconds(1500),
                               [&] { comm.recv(Array::zeros({10}), 0).wait(); });
           },
           {.killed_rank = 0});
}

TEST_P(GlooDeath, OfARankThatHasDoneItsPartIsNoError) {
  const int victim = GetParam() - 1;
  run_gloo(GetParam(),
           [&](Communicator& comm) {
             const Array array = Array::full({1 << 17}, 1.0);
             comm.all_reduce(array).wait();
             if (comm.rank() == victim) {
               comm.barrier().wait();
               die();
             }
             comm.barrier().wait();
             EXPECT_EQ(array.data<float>()[99], static_cast<float>(comm.size()));
           },
           {.killed_rank = victim});
}

// Gloo keeps silent about bytes that the system has not taken from it when the connection ends. Here nothing else is
// under way that it would speak of: only rank 0 has something to give.
TEST_F(Gloo, ADeathOfTheReceiverWithBytesUnderWayIsNoticed) {
  constexpr std::int64_t kBytes = 256 << 20;
  run_gloo(2,
           [&](Communicator& comm) {
             const Array output = Array::zeros({kBytes}, DType::u8);
             const Array input = comm.rank() == 0 ? Array::full({kBytes}, 1, DType::u8) : Array::zeros({0}, DType::u8);
             const std::array<std::int64_t, 3> offsets{0, kBytes, kBytes};
             comm.barrier().wait();
             expect_failure_by(1, {"is dead or cannot be reached"}, std::chrono::milliseconds(1500), [&] {
               const comm::Work work = comm.all_gather_v(input, output, offsets);
               if (comm.rank() == 1) {  // the communication thread receives
                 while (*static_cast<volatile std::uint8_t*>(output.data<std::uint8_t>()) == 0) {
                 }
                 die();
               }
               work.wait();
             });
           },
           {.killed_rank = 1});
}

TEST_F(Gloo, AStoppedRankIsNamedAtTheDeadline) {
  run_gloo(3,
           [](Communicator& comm) {
             comm.barrier().wait();
             if (comm.rank() == 1) {
               kill(getpid(), SIGSTOP);  // until the parent gives up on it
             }
             expect_failure_by(1, {"the deadline of 400 ms passed"}, std::chrono::seconds(10), [&] {
               comm.all_reduce(Array::zeros({1 << 18}), comm::ReduceOp::sum,
                               {.timeout = std::chrono::milliseconds(400)})
                   .wait();
             });
             if (comm.rank() == 0) {  // the last to need it
               std::this_thread::sleep_for(std::chrono::milliseconds(100));
             }
           },
           {.stopped_rank = 1});
}

TEST_F(Gloo, FastReductionsAreGloosOwn) {
  run_gloo(3, [](Communicator& comm) {
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::u8}) {
      for (const std::int64_t count : {0, 1, 5, 100001}) {
        const Array array = Array::full({count}, comm.rank() + 1, dtype);
        comm.all_reduce(array, comm::ReduceOp::max, {.order = comm::ReduceOrder::fast}).wait();
        for (const double value : array.to_vector<double>()) {
          ASSERT_EQ(value, 3.0) << name_of(dtype) << " x " << count;
        }
      }
    }
  });
}

TEST_F(Gloo, AnAbortEndsAFastReductionToo) {
  run_gloo(2, [](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      comm.abort("no more");
      return;
    }
    expect_failure_by(1, {"no more"}, std::chrono::seconds(10), [&] {
      comm.all_reduce(Array::zeros({1 << 20}), comm::ReduceOp::sum, {.order = comm::ReduceOrder::fast}).wait();
    });
  });
}

std::string error_of_connect(int rank, int size, const comm::GlooOptions& options) {
  try {
    comm::connect_gloo(rank, size, std::make_shared<comm::MemoryStore>(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(Gloo, AnInterfaceThatDoesNotExistIsAnErrorThatListsThoseThatDo) {
  const std::string error = error_of_connect(0, 1, {.interface = "nowhere0"});
  EXPECT_NE(error.find("\"nowhere0\""), std::string::npos) << error;
  EXPECT_NE(error.find("lo"), std::string::npos) << error;
}

TEST_F(Gloo, AnAddressOfAnotherHostIsAnError) {
  const std::string error = error_of_connect(0, 1, {.interface = "192.0.2.7"});
  EXPECT_NE(error.find("\"192.0.2.7\""), std::string::npos) << error;
}

TEST_F(Gloo, ARankThatDoesNotComeIsNamed) {
  const std::string error = error_of_connect(1, 3, {.timeout = std::chrono::milliseconds(100)});
  EXPECT_NE(error.find("rank 1 waits for rank 0, which has not come"), std::string::npos) << error;
}

TEST_F(Gloo, ConnectsByInterfaceNameAndByAddress) {
  for (const char* interface : {"lo", "127.0.0.1"}) {
    const auto connect = [&](int rank, int size, const std::string& directory, std::chrono::milliseconds timeout) {
      return comm::connect_gloo(rank, size, std::make_shared<comm::FileStore>(directory),
                                {.interface = interface, .prefix = "generation/3", .timeout = timeout});
    };
    run_processes_over(connect, 2,
                       [](Communicator& comm) {
                         comm.barrier().wait();
                         EXPECT_EQ(comm.backend(), "gloo");
                       },
                       {});
  }
}

TEST_F(Gloo, ConnectErrorsNameBothAddresses) {
  const auto connect = [](int rank, int size, const std::string& directory, std::chrono::milliseconds) {
    const auto store = std::make_shared<comm::FileStore>(directory);
    if (rank == 1) {  // comes, and goes before anybody has connected
      store->set("gloo/host/1", "elsewhere");
      const std::string address(128, '\0');
      store->set("gloo/1", "16 [192.0.2.1]:4242128 " + address + "0 0 ");
      return std::shared_ptr<Communicator>();
    }
    try {
      comm::connect_gloo(rank, size, store, {.interface = "lo", .timeout = std::chrono::milliseconds(200)});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("rank 0 at [127.0.0.1]:"), std::string::npos) << text;
      EXPECT_NE(text.find("rank 1 at [192.0.2.1]:4242"), std::string::npos) << text;
    }
    return std::shared_ptr<Communicator>();
  };
  run_processes_over(connect, 2, {}, {});
}

}  // namespace
}  // namespace trireme::test
