// What is built on links, where a real engine cannot be made to fail at will: lost ranks, messages held back, pieces.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/comm/loop_link.h"
#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/message/message_communicator.h"
#include "trireme/comm/message/opening.h"
#include "trireme/comm/rank_report.h"
#include "trireme/core/base/host.h"

namespace trireme::test {
namespace {

using comm::CommError;
using comm::Communicator;
using comm::message::kMaxPayloadBytes;
using comm::message::MessageCommunicator;

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const CommError& error) {
    return error.what();
  }
  return "no error";
}

void expect_text(const std::string& message, const std::string& text) {
  EXPECT_NE(message.find(text), std::string::npos) << "\"" << text << "\" is not in: " << message;
}

void fill(const Array& array, int rank) {
  float* const data = array.data<float>();
  for (std::int64_t i = 0; i < array.count(); ++i) {
    data[i] = static_cast<float>((i * 5 + rank) % 11);
  }
}

void expect_sum(const Array& array, int size) {
  const float* const data = array.data<float>();
  for (std::int64_t i = 0; i < array.count(); ++i) {
    float expected = 0;
    for (int rank = 0; rank < size; ++rank) {
      expected += static_cast<float>((i * 5 + rank) % 11);
    }
    ASSERT_EQ(data[i], expected) << "element " << i << " of " << array.count();
  }
}

TEST(MessageCollectives, SumsOnBothSidesOfEveryBoundary) {
  constexpr std::int64_t kSmall = kMaxPayloadBytes / sizeof(float);
  constexpr std::int64_t kPiece = (2 << 20) / sizeof(float);
  for (const int size : {2, 3}) {
    run_loop(size, [&](Communicator& comm) {
      for (const std::int64_t edge : {kSmall, size * kPiece, 3 * size * kPiece}) {
        for (const std::int64_t count : {edge - 1, edge, edge + 1, edge + 17}) {
          const Array array = Array::empty({count});
          fill(array, comm.rank());
          comm.all_reduce(array).wait();
          expect_sum(array, comm.size());
        }
      }
    });
  }
}

TEST(MessageCollectives, ADisagreementIsFoundBeforeAnyLengthDependsOnIt) {
  constexpr std::int64_t kSmall = kMaxPayloadBytes / sizeof(float);
  for (const auto& [first, second] : {std::pair{std::int64_t{10}, kSmall},
                                      {kSmall, kSmall + 1},
                                      {2 * kSmall, 3 * kSmall},
                                      {std::int64_t{0}, 5 * kSmall}}) {
    run_loop(3, [&, first = first, second = second](Communicator& comm) {
      const Array array = Array::zeros({comm.rank() == 2 ? second : first});
      const std::string error = error_of([&] { comm.all_reduce(array, comm::ReduceOp::sum, {.name = "w"}).wait(); });
      expect_text(error, "rank 0 is in all_reduce #0 \"w\" f32 x " + std::to_string(first));
      expect_text(error, "rank 2 in all_reduce #0 \"w\" f32 x " + std::to_string(second));
    });
  }
}

void expect_progress_without_waiting(int waits_before) {
  std::atomic<int> done{0};
  run_loop(2, [&](Communicator& comm) {
    const Array array = Array::full({1 << 20}, 1.0);
    for (int i = 0; i < waits_before; ++i) {
      comm.all_reduce(array).wait();
    }
    array.fill(1);
    const comm::Work work = comm.all_reduce(array);
    if (comm.rank() == 0) {
      work.wait();  // needs the other rank, which waits for nothing
      done = 1;
    } else {
      while (done == 0) {
        std::this_thread::yield();
      }
    }
    work.wait();
    EXPECT_EQ(array.data<float>()[12345], 2.0f);
  });
}

TEST(MessageCollectives, GoOnWhileTheCallerDoesSomethingElse) { expect_progress_without_waiting(0); }

// Then nobody is woken for the next one; it is found out that this one is not waited for.
TEST(MessageCollectives, GoOnAfterManyThatWereWaitedForAtOnce) { expect_progress_without_waiting(20); }

TEST(MessageCollectives, WaitForASlowRank) {
  run_loop(3, [](Communicator& comm) {
    if (comm.rank() == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(250));
    }
    for (const std::int64_t count : {100, 100000}) {
      const Array array = Array::full({count}, 1.0);
      comm.all_reduce(array).wait();
      EXPECT_EQ(array.data<float>()[count - 1], 3.0f);
    }
  });
}

TEST(MessageFaults, MessagesThatAreLateOnlyDelay) {
  const auto fabric = std::make_shared<LoopFabric>(3);
  run_loop_on(fabric, 3, [&](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == 0) {
      fabric->hold(1, 2);
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
      fabric->release();
    }
    const Array array = Array::empty({1 << 18});
    fill(array, comm.rank());
    comm.all_reduce(array).wait();
    expect_sum(array, 3);
  });
}

TEST(MessageFaults, AHeldMessageNamesItsSenderAtTheDeadline) {
  const auto fabric = std::make_shared<LoopFabric>(3);
  run_loop_on(fabric, 3, [&](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == 0) {
      fabric->hold(1, 2);
    }
    comm.set_default_timeout(std::chrono::milliseconds(comm.rank() == 2 ? 300 : 20000));
    const Array array = Array::zeros({1 << 18});
    const std::string error = error_of([&] {
      for (int turn = 0; turn < 1000; ++turn) {
        comm.all_reduce(array).wait();
      }
    });
    expect_text(error, "the deadline of 300 ms passed; waiting for rank 1 on ");
  });
  fabric->release();
}

class MessageDeaths : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, MessageDeaths, testing::Values(2, 3, 5));

TEST_P(MessageDeaths, AreNoticedInTheMiddleOfAnOperation) {
  const int size = GetParam();
  const auto fabric = std::make_shared<LoopFabric>(size);
  run_loop_on(fabric, size, [&](Communicator& comm) {
    const Array array = Array::zeros({1 << 19});
    comm.all_reduce(array).wait();
    const auto begin = std::chrono::steady_clock::now();
    const std::string error = error_of([&] {
      for (int turn = 0;; ++turn) {
        const comm::Work work = comm.all_reduce(array);
        if (turn == 3 && comm.rank() == 1) {
          fabric->kill(1);
        }
        work.wait();
      }
    });
    if (comm.rank() != 1) {
      expect_text(error, "rank 1 is dead or cannot be reached");
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  });
}

TEST_P(MessageDeaths, AreNoticedByARankThatWaitsForAnother) {
  const int size = GetParam();
  const auto fabric = std::make_shared<LoopFabric>(size);
  run_loop_on(fabric, size, [&](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      fabric->kill(0);
      return;
    }
    const std::string error = error_of([&] { comm.recv(Array::zeros({3}), 0).wait(); });
    expect_text(error, "rank 0 is dead or cannot be reached");
    expect_text(error_of([&] { comm.barrier().wait(); }), "rank 0 is dead or cannot be reached");
  });
}

TEST_P(MessageDeaths, OfARankThatHasDoneItsPartAreNoError) {
  const int size = GetParam();
  const auto fabric = std::make_shared<LoopFabric>(size);
  std::atomic<bool> dead{false};
  run_loop_on(fabric, size, [&](Communicator& comm) {
    comm.barrier().wait();
    const Array array = Array::full({10}, 1.0);
    const comm::Work work = comm.all_reduce(array);  // small: everything is on its way
    if (comm.rank() == size - 1) {
      work.wait();
      fabric->kill(size - 1);
      dead = true;
      return;
    }
    while (!dead) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(150));  // longer than between two looks at the peers
    work.wait();
    EXPECT_EQ(array.data<float>()[9], static_cast<float>(size));
  });
}

TEST(MessageReports, ComeFromRanksThatAreElsewhereAlsoAfterAFailure) {
  std::atomic<bool> asked{false};
  run_loop(3, [&](Communicator& comm) {
    comm.barrier({.name = "start"}).wait();
    if (comm.rank() == 0) {
      const std::vector<comm::RankReport> reports = comm.look_at_ranks();
      ASSERT_EQ(reports.size(), 3u);
      EXPECT_EQ(reports[2].presence, comm::Presence::alive);
      EXPECT_EQ(reports[2].host, host_name());
      expect_text(last_operation(reports[2]), "its last operation is barrier #0 \"start\" (");
      comm.abort("enough");
      EXPECT_EQ(comm.look_at_ranks()[1].presence, comm::Presence::alive);
      asked = true;
    }
    while (!asked) {  // in no operation at all
      std::this_thread::yield();
    }
  });
}

TEST(MessageReports, OfARankThatIsGoneSayWhereItWas) {
  const auto fabric = std::make_shared<LoopFabric>(2);
  std::atomic<bool> asked{false};
  run_loop_on(fabric, 2, [&](Communicator& comm) {
    comm.barrier().wait();
    if (comm.rank() == 1) {
      while (!asked) {  // its farewell must not be faster than the news of its death
        std::this_thread::yield();
      }
    } else {
      fabric->kill(1);
      const auto begin = std::chrono::steady_clock::now();
      const comm::RankReport report = comm.look_at_ranks()[1];
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
      EXPECT_EQ(report.presence, comm::Presence::dead);
      EXPECT_EQ(report.host, host_name());
      asked = true;
    }
  });
}

TEST(MessageRecords, EndInTheCallersRecorder) {
  run_loop(2, [](Communicator& comm) {
    comm.all_reduce(Array::zeros({5})).wait();
    comm.all_reduce(Array::zeros({1 << 18})).wait();
    if (comm.rank() == 0) {
      comm.send(Array::zeros({2}), 1).wait();
    } else {
      comm.recv(Array::zeros({2}), 0).wait();
    }
    for (const comm::OpRecord& record : comm.recorder().records()) {
      EXPECT_EQ(record.state, comm::OpState::completed) << name_of(record.kind);
      EXPECT_GE(record.end, record.start);
    }
  });
}

}  // namespace
}  // namespace trireme::test
