// What goes wrong is a CommError on every rank, within the deadline, that names who and what.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "tests/comm/conformance.h"
#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/work.h"
#include "trireme/core/base/activity.h"
#include "trireme/core/base/host.h"

namespace trireme::test {
namespace {

using comm::CommError;
using comm::Communicator;

class Failures : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Worlds, Failures, worlds_of_several(), world_name);

// Expects a CommError whose message has all of these texts.
template <class F>
void expect_error(F f, const std::vector<std::string>& texts, std::optional<int> blamed = std::nullopt) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const CommError& error) {
    const std::string message = error.what();
    for (const std::string& text : texts) {
      EXPECT_NE(message.find(text), std::string::npos) << "\"" << text << "\" is not in: " << message;
    }
    if (blamed) {
      EXPECT_NE(std::find(error.details().ranks.begin(), error.details().ranks.end(), *blamed),
                error.details().ranks.end())
          << message;
    }
  }
}

TEST_P(Failures, MismatchedCounts) {
  run([](Communicator& comm) {
    const Array array = Array::zeros({comm.rank() == 1 ? 1001 : 1000});
    expect_error([&] { comm.all_reduce(array, comm::ReduceOp::sum, {.name = "weights"}).wait(); },
                 {"rank 1", "f32 x 1000", "f32 x 1001", "all_reduce #0", "weights"}, 1);
  });
}

TEST_P(Failures, MismatchedCountsOfLargeAllocatedArrays) {
  run([](Communicator& comm) {
    const Array array = comm.allocate({comm.rank() == 1 ? 100001 : 100000}, DType::f32);
    const int before = comm.rank();
    expect_error([&] { comm.all_reduce(array).wait(); }, {"f32 x 100000", "f32 x 100001"}, 1);
    EXPECT_EQ(comm.rank(), before);
  });
}

TEST_P(Failures, MismatchedDTypes) {
  run([](Communicator& comm) {
    const Array array = Array::zeros({100}, comm.rank() == 1 ? DType::f64 : DType::f32);
    expect_error([&] { comm.all_reduce(array).wait(); }, {"f32 x 100", "f64 x 100"}, 1);
  });
}

TEST_P(Failures, MismatchedOrder) {
  run([](Communicator& comm) {
    comm.barrier().wait();
    expect_error(
        [&] {
          if (comm.rank() == 1) {
            comm.barrier({.name = "epoch end"}).wait();
          } else {
            comm.broadcast(Array::zeros({5}), 0).wait();
          }
        },
        {"barrier #1 \"epoch end\"", "broadcast #1"}, 1);
  });
}

TEST_P(Failures, MismatchedRootsOpsAndNames) {
  run([](Communicator& comm) {
    const auto child = comm.split(0, 0);
    const auto other = comm.split(0, 0);
    const Array array = Array::zeros({5});
    expect_error([&] { comm.broadcast(array, comm.rank() == 1 ? 1 : 0).wait(); }, {"root 0", "root 1"}, 1);
    expect_error([&] { child->all_reduce(array, comm.rank() == 1 ? comm::ReduceOp::max : comm::ReduceOp::sum).wait(); },
                 {"(sum)", "(max)"}, 1);
    expect_error([&] { other->all_reduce(array, comm::ReduceOp::sum, {.name = comm.rank() == 1 ? "b" : "a"}).wait(); },
                 {"\"a\"", "\"b\""}, 1);
  });
}

TEST_P(Failures, ARankThatLeavesEarly) {
  run([](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == comm.size() - 1) {
      return;
    }
    expect_error([&] { comm.all_reduce(Array::zeros({100})).wait(); }, {"rank " + std::to_string(comm.size() - 1)},
                 comm.size() - 1);
  });
}

std::string host_of(Communicator& comm, int rank) {
  std::string name = host_name();
  name.resize(256);
  const Array text = Array::from(std::vector<std::uint8_t>(name.begin(), name.end()), {256});
  comm.broadcast(text, rank, {.name = "host name"}).wait();
  return reinterpret_cast<const char*>(text.bytes_data());
}

TEST_P(Failures, ASilentRankIsNamedAtTheDeadline) {
  run([](Communicator& comm) {
    const int silent = comm.size() - 1;
    comm.set_default_timeout(std::chrono::milliseconds(300));
    const std::string host = host_of(comm, silent);
    if (comm.rank() == silent) {
      enter_step(17);
      const PhaseScope busy(Phase::loading_data);
      const comm::OpOptions patient{.timeout = std::chrono::seconds(20)};
      const comm::Work work = comm.recv(Array::zeros({1}), 0, 0, patient);  // that nobody sends
      expect_error(
          [&] {
            while (!work.done()) {  // not wait(): this rank seems to load data until it hears of the failure
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
          },
          {"deadline"});
      std::this_thread::sleep_for(std::chrono::milliseconds(250));  // the slowest of the others still looks
      return;
    }
    const auto begin = std::chrono::steady_clock::now();
    expect_error(
        [&] { comm.all_reduce(Array::zeros({100})).wait(); },
        {"all_reduce #1 on rank " + std::to_string(comm.rank()) + " (" + host_name(), "the deadline of 300 ms passed",
         "rank " + std::to_string(silent) + " on " + host, "is in data loading since ", "(step 17)"},
        silent);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  });
}

TEST_P(Failures, AStallIsWarnedOfByOneRankBeforeTheDeadline) {
  testing::internal::CaptureStderr();
  run([](Communicator& comm) {
    comm.set_default_timeout(
        std::chrono::seconds(2));  // so the first warning is due after half a second, or a little more
    comm.barrier().wait();
    if (comm.rank() == comm.size() - 1) {
      const PhaseScope busy(Phase::evaluating);
      std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    }
    comm.all_reduce(Array::zeros({4}), comm::ReduceOp::sum, {.name = "loss"}).wait();
  });
  const std::string log = joined_over_ranks(testing::internal::GetCapturedStderr());
  if (IsSkipped()) {  // this build has no such backend
    return;
  }
  EXPECT_THAT(log, testing::ContainsRegex("all_reduce #1 \"loss\"[^:]* on rank 0: waiting for rank " +
                                          std::to_string(size() - 1) + " on .*is in evaluation since [01]\\.[0-9] s"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

TEST_P(Failures, PollingSeesFailuresToo) {
  run([](Communicator& comm) {
    if (comm.rank() == 0) {
      return;
    }
    expect_error(
        [&] {
          const comm::Work work = comm.all_reduce(Array::zeros({100}));
          while (!work.done()) {
          }
        },
        {"rank 0"}, 0);
  });
}

TEST_P(Failures, AbortWakesEveryRank) {
  run([](Communicator& comm) {
    if (comm.rank() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // let the others fall asleep
      comm.abort("loss is not finite");
    }
    expect_error([&] { comm.barrier().wait(); }, {"loss is not finite", "rank 0"}, 0);
  });
}

TEST_P(Failures, AbortFromAnotherThreadWakesTheOwner) {
  run([](Communicator& comm) {
    std::thread watchdog;
    if (comm.rank() == 0) {
      watchdog = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        comm.abort("the agent says so");
      });
    }
    if (comm.rank() != 1) {
      expect_error([&] { comm.barrier().wait(); }, {"the agent says so"}, 0);
    } else {
      const Array note = Array::zeros({1});
      expect_error([&] { comm.recv(note, 0).wait(); }, {"the agent says so"}, 0);
    }
    if (watchdog.joinable()) {
      watchdog.join();
    }
  });
}

TEST_P(Failures, ABrokenCommunicatorStaysBroken) {
  run([](Communicator& comm) {
    comm.abort("enough");
    expect_error([&] { comm.barrier().wait(); }, {"enough"});
    expect_error([&] { comm.all_reduce(Array::zeros({1 << 18})).wait(); }, {"enough"});
    const auto records = comm.recorder().records();
    EXPECT_EQ(records.back().state, comm::OpState::failed);
  });
}

TEST_P(Failures, WrongArgumentsAreErrorsBeforeAnythingIsSent) {
  run([](Communicator& comm) {
    const Array array = Array::zeros({12});
    EXPECT_THROW(comm.broadcast(array, comm.size()), Error);
    EXPECT_THROW(comm.send(array, comm.rank()), Error);
    EXPECT_THROW(comm.recv(array, -1), Error);
    EXPECT_THROW(comm.all_gather(array, Array::zeros({12 * comm.size() + 1})), Error);
    EXPECT_THROW(comm.all_gather(array, Array::zeros({12 * comm.size()}, DType::f64)), Error);
    EXPECT_THROW(comm.reduce_scatter(array, Array::zeros({12 * comm.size()})), Error);
    EXPECT_THROW(comm.all_to_all(Array::zeros({comm.size() + 1}), Array::zeros({comm.size() + 1})), Error);
    EXPECT_THROW(comm.all_reduce(Array::zeros({4, 3}).transpose(0, 1)), Error);
    EXPECT_THROW(comm.all_gather_v(array, array, std::vector<std::int64_t>{0, 12}), Error);
    EXPECT_THROW(comm.all_reduce_parts({}, nullptr, array), Error);
    comm.barrier().wait();  // and the communicator is as good as before
  });
}

}  // namespace
}  // namespace trireme::test
