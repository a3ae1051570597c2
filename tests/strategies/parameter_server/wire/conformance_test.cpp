// What every kind of endpoint promises about parcels (strategies/parameter_server/wire/endpoint.h).
#include <atomic>
#include <thread>

#include "tests/strategies/parameter_server/wire/nodes.h"
#include "tests/support/error_of.h"

namespace trireme::test {
namespace {

using EventKind = Endpoint::Event::Kind;

class Wire : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Wire, testing::ValuesIn(all_kinds()), name_of_kind);

std::vector<Array> arrays_of(int i) {
  switch (i % 6) {
    case 0:
      return {};
    case 1:
      return {pattern({3, 5}, DType::f32, i)};
    case 2:
      return {pattern({0, 7}, DType::f64, i), pattern({}, DType::i64, i), pattern({17}, DType::u8, i)};
    case 3:
      return {pattern({300001}, DType::bf16, i)};
    case 4:
      return {pattern({1}, DType::u8, i), pattern({3, 1 << 18}, DType::f32, i), pattern({2}, DType::f16, i)};
    default:
      return {pattern({1 << 18}, DType::f32, i), pattern({1 << 18}, DType::f32, i + 1)};
  }
}

void echo(Endpoint& wire, int count) {
  for (int i = 0; i < count; ++i) {
    Endpoint::Event event = next_parcel(wire);
    EXPECT_TRUE(wire.send(event.from, std::move(event.parcel), in(kLong)));
  }
}

TEST_P(Wire, EchoesParcelsOfEverySizeInOrder) {
  static constexpr int kCount = 18;
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::server) {
      echo(*place.wire, kCount);
      next_loss(*place.wire);
      return;
    }
    for (int i = 0; i < kCount; ++i) {
      std::string header = std::to_string(i);
      header.resize(i == 7 ? std::size_t{1} << 20 : 100, 'x');
      ASSERT_TRUE(place.wire->send(server(0), {header, arrays_of(i)}, in(kLong)));
    }
    for (int i = 0; i < kCount; ++i) {
      const Endpoint::Event event = next_parcel(*place.wire);
      ASSERT_EQ(event.from, server(0));
      ASSERT_EQ(event.parcel.header.substr(0, std::to_string(i).size()), std::to_string(i));
      const std::vector<Array> expected = arrays_of(i);
      ASSERT_EQ(event.parcel.arrays.size(), expected.size());
      for (std::size_t a = 0; a < expected.size(); ++a) {
        EXPECT_TRUE(same_bytes(event.parcel.arrays[a], expected[a]));
        EXPECT_TRUE(expected[a].bytes() == 0 ||
                    reinterpret_cast<std::uintptr_t>(event.parcel.arrays[a].bytes_data()) % 64 == 0);
      }
    }
    EXPECT_GT(place.wire->bytes_moved(), 2 * (kCount / 6) * (600002u + 3145728u + 2097152u));
  });
}

TEST_P(Wire, MovesArraysLargerThanEveryWindow) {
  const Job job{.window = 1 << 20};
  run_nodes(GetParam(), job, [](Place& place) {
    if (place.self.role == Role::server) {
      echo(*place.wire, 2);
      next_loss(*place.wire);
      return;
    }
    const Array large = pattern({5, 1000, 1003}, DType::f32, 1);
    ASSERT_TRUE(place.wire->send(server(0), {"a", {large}}, in(kLong)));
    ASSERT_TRUE(place.wire->send(server(0), {"b", {large, large}}, in(kLong)));
    EXPECT_TRUE(same_bytes(next_parcel(*place.wire).parcel.arrays.at(0), large));
    EXPECT_TRUE(same_bytes(next_parcel(*place.wire).parcel.arrays.at(1), large));
  });
}

TEST_P(Wire, AnswersNothingAtTheDeadline) {
  run_nodes(GetParam(), {.workers = 0}, [](Place& place) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(place.wire->receive(begin + std::chrono::milliseconds(30)).kind, EventKind::nothing);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
  });
}

TEST_P(Wire, HoldsTheSenderBackWhenNobodyReceivesAndLosesNothing) {
  const Job job{.window = 1 << 20};
  run_nodes(GetParam(), job, [](Place& place) {
    if (place.self.role == Role::server) {
      next_parcel(*place.wire);
      const int sent = std::stoi(place.store->get("sent", kLong));
      for (int i = 0; i < sent; ++i) {
        ASSERT_EQ(next_parcel(*place.wire).parcel.header, std::to_string(i));
      }
      place.store->set("received", "1");
      ASSERT_EQ(next_parcel(*place.wire).parcel.header, "again");
      next_loss(*place.wire);
      return;
    }
    ASSERT_TRUE(place.wire->send(server(0), {"first", {}}, in(kLong)));
    const Array chunk = pattern({1 << 16}, DType::f32, 0);
    int sent = 0;
    bool room = true;
    while (room && sent < 2000) {
      Parcel parcel{std::to_string(sent), {chunk}};
      room = place.wire->send(server(0), std::move(parcel), in(std::chrono::milliseconds(150)));
      sent += room ? 1 : 0;
    }
    EXPECT_GT(sent, 4);
    EXPECT_LT(sent, 4 * (1 + 1 + 32));  // both windows, and what the carrier holds
    place.store->set("sent", std::to_string(sent));
    place.store->get("received", kLong);
    EXPECT_TRUE(place.wire->send(server(0), {"again", {}}, in(kLong)));
  });
}

TEST_P(Wire, BothSidesMayFloodEachOther) {
  static constexpr int kCount = 48;
  const Job job{.window = 2 << 20};
  run_nodes(GetParam(), job, [](Place& place) {
    const Node peer = place.self.role == Role::server ? worker(0) : server(0);
    if (place.self.role == Role::worker) {
      ASSERT_TRUE(place.wire->send(peer, {"open", {}}, in(kLong)));
    } else {
      next_parcel(*place.wire);
    }
    const Array content = pattern({1 << 18}, DType::f32, 3);
    std::thread sender([&] {
      for (int i = 0; i < kCount; ++i) {
        EXPECT_TRUE(place.wire->send(peer, {std::to_string(i), {content}}, in(kLong)));
      }
    });
    for (int i = 0; i < kCount; ++i) {
      const Endpoint::Event event = next_parcel(*place.wire);
      EXPECT_EQ(event.parcel.header, std::to_string(i));
      EXPECT_TRUE(event.parcel.arrays.size() == 1 && same_bytes(event.parcel.arrays[0], content));
    }
    sender.join();
    place.store->set(place.self.role == Role::server ? "server" : "worker", "done");
    place.store->get(place.self.role == Role::server ? "worker" : "server", kLong);
  });
}

TEST_P(Wire, ReceivedArraysMayBeKeptForEver) {
  static constexpr int kCount = 40;
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::worker) {
      for (int i = 0; i < kCount; ++i) {
        ASSERT_TRUE(place.wire->send(server(0), {"", {pattern({200000}, DType::f32, i)}}, in(kLong)));
      }
      place.wire.reset();  // its memory goes, and with it what the arrays do not hold
      return;
    }
    std::vector<Array> kept;
    for (int i = 0; i < kCount; ++i) {
      kept.push_back(next_parcel(*place.wire).parcel.arrays.at(0));
    }
    next_loss(*place.wire);
    place.wire.reset();
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(same_bytes(kept[static_cast<std::size_t>(i)], pattern({200000}, DType::f32, i)));
    }
  });
}

TEST_P(Wire, ServesManyPeersAtOnce) {
  static constexpr int kWorkers = 5;
  static constexpr int kCount = 20;
  run_nodes(GetParam(), {.servers = 2, .workers = kWorkers}, [](Place& place) {
    if (place.self.role == Role::server) {
      std::vector<int> seen(kWorkers);
      int gone = 0;
      while (gone < kWorkers) {
        Endpoint::Event event = place.wire->receive(in(kLong));
        ASSERT_NE(event.kind, EventKind::nothing);
        if (event.kind == EventKind::lost) {
          ++gone;
          continue;
        }
        ASSERT_EQ(event.parcel.header, std::to_string(seen[static_cast<std::size_t>(event.from.index)]++));
        ASSERT_TRUE(place.wire->send(event.from, std::move(event.parcel), in(kLong)));
      }
      EXPECT_EQ(seen, std::vector<int>(kWorkers, kCount));
      return;
    }
    const Array content = pattern({50000}, DType::f32, place.self.index);
    for (int i = 0; i < kCount; ++i) {
      for (const int index : {0, 1}) {
        ASSERT_TRUE(place.wire->send(server(index), {std::to_string(i), {content}}, in(kLong)));
      }
      for (int answers = 0; answers < 2; ++answers) {
        const Endpoint::Event event = next_parcel(*place.wire);
        ASSERT_EQ(event.parcel.header, std::to_string(i));
        ASSERT_TRUE(same_bytes(event.parcel.arrays.at(0), content));
      }
    }
  });
}

TEST_P(Wire, SeveralThreadsMaySend) {
  static constexpr int kThreads = 4;
  static constexpr int kCount = 100;
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::worker) {
      std::vector<std::thread> threads;
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          for (int i = 0; i < kCount; ++i) {
            EXPECT_TRUE(place.wire->send(server(0), {std::to_string(t), {Array::full({1}, i, DType::i32)}}, in(kLong)));
          }
        });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
      return;
    }
    std::vector<int> next(kThreads);
    for (int i = 0; i < kThreads * kCount; ++i) {
      const Endpoint::Event event = next_parcel(*place.wire);
      ASSERT_EQ(event.parcel.arrays.at(0).item(), next.at(std::stoul(event.parcel.header))++);
    }
  });
}

TEST_P(Wire, ServersThatCallEachOtherHaveOneConnection) {
  static constexpr int kCount = 50;
  run_nodes(GetParam(), {.servers = 2, .workers = 0}, [](Place& place) {
    const Node peer = server(1 - place.self.index);
    place.store->add("ready", 1);
    while (place.store->add("ready", 0) < 2) {
    }
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(place.wire->send(peer, {std::to_string(i), {}}, in(kLong)));
    }
    for (int i = 0; i < kCount; ++i) {
      ASSERT_EQ(next_parcel(*place.wire).parcel.header, std::to_string(i));
    }
    place.store->add("done", 1);
    while (place.store->add("done", 0) < 2) {
    }
  });
}

TEST_P(Wire, RefusesWhatCannotBeSent) {
  run_nodes(GetParam(), {.workers = 2}, [](Place& place) {
    if (place.self.role == Role::server) {
      next_parcel(*place.wire);
    }
    if (place.self != worker(0)) {
      return;
    }
    const auto error = [&](Node to, Parcel parcel) {
      return error_of([&] { place.wire->send(to, std::move(parcel), in(kLong)); });
    };
    EXPECT_EQ(error(server(1), {}), "wire: worker 0 cannot send to server 1: the job has 2 workers and 1 servers");
    EXPECT_EQ(error(worker(0), {}), "wire: worker 0 cannot send to worker 0: the job has 2 workers and 1 servers");
    EXPECT_EQ(error(worker(1), {}), "wire: worker 0 cannot send to worker 1: workers speak to servers only");
    EXPECT_NE(error(server(0), {std::string((1 << 20) + 1, 'x'), {}}).find("at most 1048576"), std::string::npos);
    const Array transposed = Array::zeros({2, 3}).transpose(0, 1);
    EXPECT_NE(error(server(0), {"", {transposed}}).find("call contiguous() first"), std::string::npos);
    EXPECT_NE(error(server(0), {"", {Array::deferred({2})}}).find("f32[2]"), std::string::npos);
    EXPECT_TRUE(place.wire->send(server(0), {}, in(kLong)));
  });
}

}  // namespace
}  // namespace trireme::test
