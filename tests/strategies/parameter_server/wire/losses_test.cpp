// What every kind of endpoint says about peers that die, leave, are refused, or never come.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/strategies/parameter_server/wire/nodes.h"
#include "tests/support/command.h"
#include "tests/support/error_of.h"
#include "trireme/comm/store/addresses.h"
#include "trireme/strategies/parameter_server/wire/messages.h"
#include "trireme/strategies/parameter_server/wire/shm/local_socket.h"

namespace trireme::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

constexpr milliseconds kSoon(1000);  // the bound for losses and refusals; they take milliseconds on a free machine

class WireLosses : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, WireLosses, testing::ValuesIn(all_kinds()), name_of_kind);

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  std::this_thread::sleep_for(std::chrono::hours(1));
  std::abort();
}

// Nanoseconds of the machine's clock, for two processes to compare.
std::string now_text() { return std::to_string(steady_clock::now().time_since_epoch().count()); }
milliseconds since(const std::string& text) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now().time_since_epoch() -
                                                  steady_clock::duration(std::stoll(text)));
}

TEST_P(WireLosses, AKilledWorkerIsLostAtOnceAndLeavesTheOthersAlone) {
  run_nodes(GetParam(), {.workers = 2, .killed = 1}, [](Place& place) {
    if (place.self == worker(0)) {
      ASSERT_TRUE(place.wire->send(server(0), {"hello", {pattern({300000}, DType::f32, 1)}}, in(kLong)));
      next_parcel(*place.wire);
      place.store->set("died", now_text());
      die();
    }
    if (place.self == worker(1)) {
      place.store->get("lost", kLong);
      ASSERT_TRUE(place.wire->send(server(0), {"after", {}}, in(kLong)));
      next_parcel(*place.wire);
      return;
    }
    ASSERT_TRUE(place.wire->send(next_parcel(*place.wire).from, {}, in(kLong)));
    const Endpoint::Event event = next_loss(*place.wire);
    EXPECT_LT(since(place.store->get("died", kLong)), kSoon * kPatience);
    EXPECT_EQ(event.from, worker(0));
    EXPECT_THAT(event.why, HasSubstr("worker 0: the connection ended without a farewell: the process has died"));
    EXPECT_TRUE(place.wire->send(worker(0), {}, in(kLong))) << "lost on the way, without an error";
    place.store->set("lost", "1");
    EXPECT_TRUE(place.wire->send(next_parcel(*place.wire).from, {}, in(kLong)));
    next_loss(*place.wire);
  });
}

TEST_P(WireLosses, AKilledServerIsLostOnceAndItsSuccessorIsCalled) {
  run_nodes(GetParam(), {.workers = 2, .killed = 0, .open = false}, [](Place& place) {
    if (place.self == worker(1)) {  // becomes server 0 again, as a restarted process does
      place.options.self = server(0);
      place.store->get("lost", kLong);
      const auto wire = open_wire(place.options);
      EXPECT_EQ(next_parcel(*wire).parcel.header, "again");
      EXPECT_TRUE(wire->send(worker(0), {"welcome back", {}}, in(kLong)));
      next_loss(*wire);
      return;
    }
    const auto wire = open_wire(place.options);
    if (place.self.role == Role::server) {
      next_parcel(*wire);
      place.store->set("died", now_text());
      die();
    }
    ASSERT_TRUE(wire->send(server(0), {"hello", {}}, in(kLong)));
    const Endpoint::Event event = next_loss(*wire);
    EXPECT_LT(since(place.store->get("died", kLong)), kSoon * kPatience);
    EXPECT_EQ(event.from, server(0));
    EXPECT_THAT(event.why, HasSubstr("server 0: the connection ended without a farewell"));
    EXPECT_EQ(wire->receive(in(milliseconds(20))).kind, Endpoint::Event::Kind::nothing) << "one loss for one break";
    place.store->set("lost", "1");
    ASSERT_TRUE(wire->send(server(0), {"again", {}}, in(kLong)));
    EXPECT_EQ(next_parcel(*wire).parcel.header, "welcome back");
  });
}

TEST_P(WireLosses, WhatWasQueuedArrivesBeforeTheFarewell) {
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::worker) {
      for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(place.wire->send(server(0), {std::to_string(i), {pattern({300000}, DType::f32, i)}}, in(kLong)));
      }
      place.wire.reset();
      return;
    }
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(next_parcel(*place.wire).parcel.header, std::to_string(i));
    }
    EXPECT_EQ(next_loss(*place.wire).why, "worker 0 has left");
  });
}

TEST_P(WireLosses, AServerThatLeavesSaysSo) {
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::server) {
      ASSERT_TRUE(place.wire->send(next_parcel(*place.wire).from, {"bye", {}}, in(kLong)));
      place.wire.reset();
      return;
    }
    ASSERT_TRUE(place.wire->send(server(0), {}, in(kLong)));
    EXPECT_EQ(next_parcel(*place.wire).parcel.header, "bye");
    EXPECT_EQ(next_loss(*place.wire).why, "server 0 has left");
  });
}

TEST_P(WireLosses, AServerThatNeverComesIsNamedAtTheDeadline) {
  run_nodes(GetParam(), {.open = false}, [](Place& place) {
    if (place.self.role == Role::server) {
      return;
    }
    const auto wire = open_wire(place.options);
    const auto begin = steady_clock::now();
    EXPECT_FALSE(wire->send(server(0), {}, begin + milliseconds(200)));
    EXPECT_LT(steady_clock::now() - begin, kSoon * kPatience);
    EXPECT_EQ(next_loss(*wire).why,
              "server 0: no connection by the deadline: it has not left its address in the job's store; has it "
              "started?");
  });
}

// Sends as somebody else; the refusal must come at once, and the server must serve the next worker as before.
std::string refusal(const Kind& kind, const std::function<void(WireOptions&)>& change) {
  const std::string file = std::string(std::filesystem::temp_directory_path()) + "/refusal_" + std::to_string(getpid());
  run_nodes(kind, {.workers = 2, .open = false}, [&](Place& place) {
    if (place.self == worker(1)) {
      change(place.options);
    }
    const auto wire = open_wire(place.options);
    if (place.self.role == Role::server) {
      EXPECT_EQ(next_parcel(*wire).from, worker(0));
      next_loss(*wire);
    } else if (place.self == worker(0)) {
      place.store->get("refused", kLong);
      EXPECT_TRUE(wire->send(server(0), {}, in(kLong)));
    } else {
      place.store->get("ps/0/server/0", kLong);
      const auto begin = steady_clock::now();
      const std::string message = error_of([&] { wire->send(server(0), {}, in(kLong)); });
      EXPECT_LT(steady_clock::now() - begin, kSoon * kPatience);
      std::FILE* const out = std::fopen(file.c_str(), "w");
      std::fputs(message.c_str(), out);
      std::fclose(out);
      place.store->set("refused", "1");
    }
  });
  std::string text(1000, '\0');
  std::FILE* const in = std::fopen(file.c_str(), "r");
  text.resize(in == nullptr ? 0 : std::fread(text.data(), 1, text.size(), in));
  if (in != nullptr) {
    std::fclose(in);
  }
  std::filesystem::remove(file);
  return text;
}

TEST_P(WireLosses, AnotherJobsTokenIsRefused) {
  EXPECT_EQ(refusal(GetParam(), [](WireOptions& options) { options.token = "sesame"; }),
            "worker 1: wrong job token (TRIREME_JOB_TOKEN): server 0 belongs to another job than worker 1");
}

TEST_P(WireLosses, AnotherVersionIsRefusedAndBothSidesAreNamed) {
  EXPECT_EQ(refusal(GetParam(), [](WireOptions& options) { options.protocol = 7; }),
            "worker 1: server 0 speaks version 1 of the wire's protocol, worker 1 speaks version 7; start all "
            "processes from one build");
}

TEST_P(WireLosses, AnotherNumberOfWorkersIsRefused) {
  const auto change = [](WireOptions& options) {
    options.workers = 9;
    options.self.index = 8;
  };
  EXPECT_EQ(refusal(GetParam(), change),
            "worker 8: worker 8 called, but server 0 knows of 2 workers and 1 servers; start all processes with the "
            "same numbers");
}

TEST_P(WireLosses, GarbageFromStrangersEndsOnlyTheirConnections) {
  run_nodes(GetParam(), {}, [](Place& place) {
    if (place.self.role == Role::server) {
      EXPECT_EQ(next_parcel(*place.wire).from, worker(0));
      next_loss(*place.wire);
      return;
    }
    namespace wire = strategies::parameter_server::wire;
    const auto address = wire::decode_address(place.store->get("ps/0/server/0", kLong)).value();
    std::string garbage = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (int i = 0; i < 4000; ++i) {
      garbage += static_cast<char>(i * 37);
    }
    if (!address.grpc.empty()) {
      const int port = std::stoi(address.grpc.substr(address.grpc.rfind(':') + 1));
      for (const std::size_t bytes : {garbage.size(), std::size_t{5}}) {
        const Fd socket(comm::connect_until("127.0.0.1", port, in(kLong)));
        EXPECT_GT(::send(socket.get(), garbage.data(), bytes, MSG_NOSIGNAL), 0);
      }
    }
    if (!address.shm.empty()) {
      using Note = wire::Note;
      for (const auto kind : {Note::Kind::memory, Note::Kind::whole, Note::Kind::piece, Note::Kind::freed,
                              Note::Kind::farewell, static_cast<Note::Kind>(77)}) {
        const Fd socket = wire::call_locally(address.shm);
        wire::send_note(socket.get(), {.kind = kind, .head_bytes = 1u << 31, .offset = 64, .bytes = 1ull << 60});
      }
      const Fd socket = wire::call_locally(address.shm);
      EXPECT_GT(::send(socket.get(), garbage.data(), 100, MSG_NOSIGNAL), 0);
    }
    EXPECT_TRUE(place.wire->send(server(0), {}, in(kLong)));
  });
}

std::size_t entries(const char* folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST_P(WireLosses, NoThreadAndNoDescriptorIsLeftBehind) {
  run_nodes(GetParam(), {.workers = 0, .open = false}, [](Place& place) {
    const auto exchange = [&] {
      place.options.workers = 1;
      const auto wire = open_wire(place.options);
      WireOptions other = place.options;
      other.self = worker(0);
      const auto caller = open_wire(other);
      ASSERT_TRUE(caller->send(server(0), {"", {pattern({2000000}, DType::f32, 1)}}, in(kLong)));
      next_parcel(*wire);
    };
    const auto settle = [](const char* folder, std::size_t most) {
      return wait_until([&] { return entries(folder) <= most; }, kSoon * 5);
    };
    exchange();
    exchange();  // gRPC keeps some threads and descriptors for good
    std::this_thread::sleep_for(milliseconds(50));
    const std::size_t threads = entries("/proc/self/task");
    const std::size_t files = entries("/proc/self/fd");
    constexpr int kMore = 6;
    for (int i = 0; i < kMore; ++i) {
      exchange();
    }
    EXPECT_TRUE(settle("/proc/self/task", threads + kMore / 2)) << entries("/proc/self/task") << ", " << threads;
    EXPECT_TRUE(settle("/proc/self/fd", files + kMore / 2)) << entries("/proc/self/fd") << ", " << files;
  });
}

TEST(WireTls, AStrangersCertificateAndNoneAtAllAreRefused) {
  if (!strategies::parameter_server::has_grpc()) {
    GTEST_SKIP() << "this build has no gRPC";
  }
  const auto strange = certificate_of("stranger", "b");
  run_nodes({"grpc_tls", "grpc", true}, {.workers = 3, .open = false}, [&](Place& place) {
    if (place.self == worker(1)) {
      place.options.tls = strange;
    } else if (place.self == worker(2)) {
      place.options.tls = {};
    }
    const auto wire = open_wire(place.options);
    if (place.self.role == Role::server) {
      EXPECT_EQ(next_parcel(*wire).from, worker(0));
      next_loss(*wire);
      return;
    }
    place.store->get("ps/0/server/0", kLong);
    if (place.self == worker(0)) {
      place.store->get("1", kLong);
      place.store->get("2", kLong);
      EXPECT_TRUE(wire->send(server(0), {}, in(kLong)));
    } else if (place.self == worker(1)) {
      EXPECT_FALSE(wire->send(server(0), {}, in(milliseconds(300))));
      EXPECT_THAT(next_loss(*wire).why, HasSubstr("server 0: no connection by the deadline: "));
      place.store->set("1", "done");
    } else {
      EXPECT_EQ(error_of([&] { wire->send(server(0), {}, in(kLong)); }),
                "worker 2: wire: server 0 is reached by TLS, and this process has no certificate");
      place.store->set("2", "done");
    }
  });
}

TEST(WireOptions, ThatCannotBeHonouredAreRefused) {
  const auto error = [](const std::function<void(WireOptions&)>& change) {
    WireOptions options{.self = worker(0), .workers = 1, .servers = 1, .carrier = "shm"};
    options.store = std::make_shared<comm::FileStore>(std::filesystem::temp_directory_path() / "wire_options_store");
    change(options);
    return error_of([&] { open_wire(options); });
  };
  EXPECT_THAT(error([](WireOptions& options) { options.carrier = "pigeon"; }), HasSubstr("auto, shm or grpc expected"));
  EXPECT_THAT(error([](WireOptions& options) { options.self = worker(1); }), HasSubstr("worker 1 given of 1 workers"));
  EXPECT_THAT(error([](WireOptions& options) { options.tls.key = "k"; }), HasSubstr("TLS needs three files"));
  if (strategies::parameter_server::has_grpc()) {
    EXPECT_THAT(error([](WireOptions& options) {
                  options.carrier = "grpc";
                  options.tls = {.certificate = "/nowhere/c", .key = "/nowhere/k", .authority = "/nowhere/a"};
                }),
                HasSubstr("/nowhere/c cannot be read"));
  }
  std::filesystem::remove_all(std::filesystem::temp_directory_path() / "wire_options_store");
}

}  // namespace
}  // namespace trireme::test
