// A server alone with what workers, and strangers, send it.
#include "trireme/strategies/parameter_server/server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/parameter_server/client/requests.h"

namespace trireme::strategies::parameter_server {
namespace {

using testing::HasSubstr;
using Time = Endpoint::TimePoint;

Plan make_plan(Consistency consistency, int workers = 2) {
  Plan plan = Plan::make({{.name = "w", .shape = {4}}, {.name = "t", .shape = {10, 2}, .sparse = true}}, 1, workers,
                         sharding::FixedShards{1});
  plan.consistency = consistency;
  return plan;
}

class ServerTest : public testing::Test {
 protected:
  explicit ServerTest(Consistency consistency = Consistency::async)
      : plan_(make_plan(consistency)), sgd_({.lr = 1}), server_(plan_, sgd_, {}) {
    for (int worker = 0; worker < plan_.workers; ++worker) {
      EXPECT_EQ(ask(worker, {.kind = Kind::hello, .life = 1, .text = plan_.text()}).kind, Kind::welcome);
    }
  }

  // The one answer, or a message of kind hello if there is none.
  Message send(int worker, Parcel parcel) {
    Outbox out;
    server_.handle(now_, {Endpoint::Event::Kind::parcel, {Role::worker, worker}, std::move(parcel), {}}, out);
    EXPECT_LE(out.size(), 1u);
    arrays_ = out.empty() ? std::vector<Array>() : out[0].parcel.arrays;
    return out.empty() ? Message{} : decode(out[0].parcel.header);
  }
  Message ask(int worker, const Message& message, std::vector<Array> arrays = {}) {
    return send(worker, {encode(message), std::move(arrays)});
  }
  // The text of a refusal.
  std::string refusal(int worker, const Message& message, std::vector<Array> arrays = {}) {
    const Message answer = ask(worker, message, std::move(arrays));
    EXPECT_EQ(answer.kind, Kind::refused);
    return answer.text;
  }
  static Message push(std::uint64_t sequence, std::int64_t step, std::vector<Entry> entries = {{.piece = 0}}) {
    return {.kind = Kind::push,
            .sequence = sequence,
            .life = 1,
            .step = step,
            .learning_rate = 1,
            .entries = std::move(entries)};
  }
  static Array minus_one() { return Array::full({4}, -1); }
  std::vector<float> values() const { return server_.shard().values(0).to_vector<float>(); }

  Time now_{};
  Plan plan_;
  optim::SGD sgd_;
  Server server_;
  std::vector<Array> arrays_;
};

TEST_F(ServerTest, APushThatComesTwiceIsAppliedOnceAndAnsweredTwice) {
  EXPECT_EQ(ask(0, push(1, 0), {minus_one()}).kind, Kind::ack);
  EXPECT_EQ(ask(0, push(1, 0), {minus_one()}).kind, Kind::ack);
  EXPECT_EQ(values(), (std::vector<float>(4, 1)));
}

TEST_F(ServerTest, APushThatComesTooEarlyWaitsForTheOneBefore) {
  Outbox out;
  EXPECT_EQ(ask(0, push(2, 1), {minus_one()}).kind, Kind::hello) << "no answer yet";
  EXPECT_EQ(values(), (std::vector<float>(4, 0)));
  server_.handle(now_, {Endpoint::Event::Kind::parcel, {Role::worker, 0}, {encode(push(1, 0)), {minus_one()}}, {}},
                 out);
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(values(), (std::vector<float>(4, 2)));
}

TEST_F(ServerTest, WhatDoesNotFitIsRefusedByNameAndChangesNothing) {
  EXPECT_THAT(refusal(0, push(1, 0), {Array::zeros({5})}), HasSubstr("gradient of 'w' (piece 0): f32[5] given"));
  EXPECT_THAT(refusal(0, push(2, 0, {{.piece = 7}}), {minus_one()}), HasSubstr("piece 7 of 2"));
  EXPECT_THAT(refusal(0, push(3, 0), {}), HasSubstr("0 arrays given for 1 entries, more expected"));
  EXPECT_THAT(refusal(0, push(4, 0), {minus_one(), minus_one()}), HasSubstr("2 arrays given for 1 entries"));
  EXPECT_THAT(refusal(0, push(5, 0, {{.piece = 0}, {.piece = 0}}), {minus_one(), minus_one()}), HasSubstr("twice"));
  EXPECT_THAT(refusal(0, push(6, 0, {{.piece = 1}}), {Array::zeros({20})}),
              HasSubstr("all elements given, rows expected"));
  const Array rows = Array::from<std::int64_t>({3, 3}, {2});
  EXPECT_THAT(refusal(0, push(7, 0, {{.piece = 1, .sparse = true}}), {rows, Array::zeros({2, 2})}),
              HasSubstr("rows of 't': 3 given, ascending ones in [0, 10) expected"));
  EXPECT_THAT(refusal(0, {.kind = Kind::reduce, .sequence = 8, .life = 1}), HasSubstr("whose consistency is async"));
  EXPECT_EQ(values(), (std::vector<float>(4, 0)));
  EXPECT_EQ(ask(0, push(9, 0), {minus_one()}).kind, Kind::ack) << "the worker may go on";
}

TEST_F(ServerTest, BytesThatAreNoMessageAreRefused) {
  EXPECT_THAT(send(0, {"\x01garbage", {}}).text, HasSubstr("is no message of this protocol"));
}

TEST_F(ServerTest, AnotherVersionIsRefusedByName) {
  EXPECT_THAT(refusal(0, {.kind = Kind::hello, .version = 9, .life = 1, .text = plan_.text()}),
              HasSubstr("worker 0 speaks version 9 of the protocol, server 0 version 1"));
}

TEST_F(ServerTest, ALostWorkerIsDeadAfterTheLeaseAndFencedThen) {
  Outbox out;
  server_.handle(now_, {Endpoint::Event::Kind::lost, {Role::worker, 1}, {}, "killed by SIGKILL"}, out);
  ASSERT_TRUE(server_.next_tick());
  server_.tick(*server_.next_tick() - std::chrono::milliseconds(1), out);
  EXPECT_TRUE(server_.is_living(1));
  server_.tick(*server_.next_tick(), out);
  EXPECT_FALSE(server_.is_living(1));
  EXPECT_THAT(refusal(1, push(1, 0), {minus_one()}), HasSubstr("worker 1 is dead for its peers"));
  EXPECT_THAT(refusal(1, {.kind = Kind::hello, .life = 1, .text = plan_.text()}),
              HasSubstr("life 1 of worker 1 is over"));
  EXPECT_EQ(ask(1, {.kind = Kind::hello, .life = 2, .text = plan_.text()}).kind, Kind::welcome);
}

TEST_F(ServerTest, AWorkerThatIsHeardOfInTimeLivesOn) {
  Outbox out;
  server_.handle(now_, {Endpoint::Event::Kind::lost, {Role::worker, 1}, {}, "cut"}, out);
  EXPECT_EQ(ask(1, {.kind = Kind::hello, .life = 1, .text = plan_.text()}).kind, Kind::welcome);
  EXPECT_FALSE(server_.next_tick());
}

TEST_F(ServerTest, IsFinishedOnceEveryWorkerHasSaidGoodbye) {
  EXPECT_EQ(ask(0, {.kind = Kind::goodbye, .sequence = 1, .life = 1}).kind, Kind::ack);
  EXPECT_FALSE(server_.finished());
  EXPECT_EQ(ask(1, {.kind = Kind::goodbye, .sequence = 1, .life = 1}).kind, Kind::ack);
  EXPECT_TRUE(server_.finished());
  EXPECT_EQ(ask(1, {.kind = Kind::goodbye, .sequence = 1, .life = 1}).kind, Kind::ack) << "its answer was lost";
}

TEST_F(ServerTest, RowsAreUpdatedOneByOneAndReadBack) {
  const Array rows = Array::from<std::int64_t>({2, 9}, {2});
  EXPECT_EQ(ask(0, push(1, 0, {{.piece = 1, .sparse = true}}), {rows, Array::full({2, 2}, -3)}).kind, Kind::ack);
  const Array wanted = Array::from<std::int64_t>({2, 5, 9}, {3});
  const Message pull{
      .kind = Kind::pull, .sequence = 2, .life = 1, .step = 1, .entries = {{.piece = 1, .sparse = true}}};
  EXPECT_EQ(ask(0, pull, {wanted}).kind, Kind::values);
  EXPECT_EQ(arrays_.at(0).to_vector<float>(), (std::vector<float>{3, 3, 0, 0, 3, 3}));
  EXPECT_EQ(server_.shard().rows_in_memory(), 2);
}

class SyncServerTest : public ServerTest {
 protected:
  SyncServerTest() : ServerTest(Consistency::sync) {}
};

TEST_F(SyncServerTest, WorkersThatDisagreeOnTheStepAreRefusedByName) {
  Message first = push(1, 0, {{.piece = 0, .part = {0, 1}}});
  first.split = {2, 1, 2};
  EXPECT_EQ(ask(0, first, {minus_one()}).kind, Kind::ack);
  Message other = push(1, 0, {{.piece = 0, .part = {1, 2}}});
  other.split = {4, 1, 4};
  EXPECT_THAT(refusal(1, other, {minus_one()}), HasSubstr("worker 1 cuts the batch into 4 lanes"));
  EXPECT_EQ(ask(0, {.kind = Kind::reduce, .sequence = 2, .life = 1, .factor = 0.5}).kind, Kind::hello);
  EXPECT_THAT(refusal(1, {.kind = Kind::reduce, .sequence = 2, .life = 1, .factor = 0.25}),
              HasSubstr("worker 1 scales gradients by 0.25, another worker by 0.5"));
  EXPECT_THAT(refusal(1, push(3, 5), {minus_one()}),
              HasSubstr("push of step 5 was asked of a server that is in step 0"));
}

TEST(Requests, AServerThatForgotIsNoticed) {
  Requests requests({.servers = 1});
  Outbox out;
  requests.start({}, out);
  const auto arrive = [&](Message message) {
    message.life = 1;
    return requests.handle({}, {Endpoint::Event::Kind::parcel, {Role::server, 0}, {encode(message), {}}, {}}, out);
  };
  arrive({.kind = Kind::welcome});
  const std::uint64_t sequence = requests.add(0, {.kind = Kind::pull}, {}, {}, out);
  EXPECT_TRUE(arrive({.kind = Kind::values, .sequence = sequence}));
  EXPECT_FALSE(arrive({.kind = Kind::values, .sequence = sequence})) << "the same answer again";
  requests.handle({}, {Endpoint::Event::Kind::lost, {Role::server, 0}, {}, "killed"}, out);
  EXPECT_EQ(requests.trouble(0), "killed");
  EXPECT_THAT(test::error_of([&] { arrive({.kind = Kind::welcome, .sequence = 0}); }),
              HasSubstr("it was restarted without its state"));
}

}  // namespace
}  // namespace trireme::strategies::parameter_server
