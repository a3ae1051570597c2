// All stores do the same; the one over TCP also survives what a network brings.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "tests/support/temp_dir.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/comm/store/tcp_store.h"
#include "trireme/comm/store/wire.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/random.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Makes handles to one and the same store.
class Site {
 public:
  explicit Site(const std::string& kind) : kind_(kind) {
    if (kind == "tcp") {
      server_ = std::make_unique<TcpStoreServer>("127.0.0.1", 0, "token");
    }
  }
  std::shared_ptr<Store> handle() {
    if (kind_ == "tcp") {
      return std::make_shared<TcpStore>("127.0.0.1", server_->port(), "token", seconds(10));
    }
    if (kind_ == "file") {
      return std::make_shared<FileStore>(directory_ / "store");
    }
    return memory_;
  }

 private:
  std::string kind_;
  test::TempDir directory_;
  std::shared_ptr<MemoryStore> memory_ = std::make_shared<MemoryStore>();
  std::unique_ptr<TcpStoreServer> server_;
};

class Stores : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Stores, testing::Values("memory", "file", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Stores, KeepValuesOfAnyBytes) {
  Site site(GetParam());
  const auto a = site.handle();
  const auto b = site.handle();
  const std::string value("\0\xff half\n", 8);
  EXPECT_EQ(b->try_get("a/key with spaces"), std::nullopt);
  a->set("a/key with spaces", value);
  EXPECT_EQ(b->try_get("a/key with spaces"), value);
  a->set("a/key with spaces", "");
  EXPECT_EQ(b->get("a/key with spaces", seconds(5)), "");
  b->erase("a/key with spaces");
  b->erase("a/key with spaces");
  EXPECT_EQ(a->try_get("a/key with spaces"), std::nullopt);
}

TEST_P(Stores, HoldLargeValuesAndRefuseLargerOnes) {
  Site site(GetParam());
  const auto store = site.handle();
  const std::string large(Store::kMaxValueBytes, 'x');
  store->set("large", large);
  EXPECT_EQ(store->try_get("large"), large);
  EXPECT_THROW(store->set("larger", large + "x"), Error);
  EXPECT_THROW(store->set(std::string(Store::kMaxKeyBytes + 1, 'k'), ""), Error);
  EXPECT_THROW(store->set("", "value"), Error);
}

TEST_P(Stores, GetWaitsForTheValue) {
  Site site(GetParam());
  const auto reader = site.handle();
  std::thread writer([&] {
    const auto store = site.handle();
    std::this_thread::sleep_for(milliseconds(20));
    store->set("late", "value");
  });
  EXPECT_EQ(reader->get("late", seconds(20)), "value");
  writer.join();
}

TEST_P(Stores, GetNamesTheKeyAtItsDeadline) {
  Site site(GetParam());
  const auto store = site.handle();
  try {
    store->get("never", milliseconds(30));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"never\" within 30 ms"), std::string::npos) << error.what();
  }
  store->set("still", "usable");
  EXPECT_EQ(store->try_get("still"), "usable");
}

TEST_P(Stores, CountersLoseNoAddition) {
  Site site(GetParam());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto store = site.handle();
      for (int i = 0; i < 25; ++i) {
        store->add("counter", 3);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(site.handle()->add("counter", -1), 299);
  EXPECT_EQ(site.handle()->try_get("counter"), "299");
}

TEST_P(Stores, AddingToWhatIsNoCounterIsAnError) {
  Site site(GetParam());
  const auto store = site.handle();
  store->set("text", "12 apples");
  EXPECT_THROW(store->add("text", 1), Error);
}

TEST_P(Stores, CompareAndSetLetsOneWin) {
  Site site(GetParam());
  EXPECT_FALSE(site.handle()->compare_and_set("leader", "x", "y"));
  std::atomic<int> winners{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back(
        [&, t] { winners += site.handle()->compare_and_set("leader", std::nullopt, std::to_string(t)); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(winners, 1);
  const auto store = site.handle();
  EXPECT_TRUE(store->compare_and_set("leader", store->try_get("leader"), "next"));
  EXPECT_EQ(store->try_get("leader"), "next");
}

// ---- TCP ----

int raw_connection(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

// Sends bytes and returns everything that comes back until the server hangs up.
std::string talk(int port, const std::string& bytes) {
  const int fd = raw_connection(port);
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  shutdown(fd, SHUT_WR);
  std::string answer;
  char chunk[4096];
  for (ssize_t got = 0; (got = recv(fd, chunk, sizeof chunk, 0)) > 0;) {
    answer.append(chunk, static_cast<std::size_t>(got));
  }
  close(fd);
  return answer;
}

TEST(TcpStore, RefusesAWrongToken) {
  const TcpStoreServer server("127.0.0.1", 0, "right");
  try {
    TcpStore("127.0.0.1", server.port(), "wrong", seconds(10));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("wrong job token"), std::string::npos) << error.what();
  }
}

TEST(TcpStore, RefusesAnotherVersion) {
  const TcpStoreServer server("127.0.0.1", 0, "");
  std::string hello = wire::encode_hello("");
  hello[wire::kMagic.size()] = 9;
  EXPECT_NE(talk(server.port(), hello).find("protocol version 9 met, 1 expected"), std::string::npos);
}

TEST(TcpStore, RefusesRequestsWithoutAToken) {
  const TcpStoreServer server("127.0.0.1", 0, "secret");
  const std::string request = wire::encode(wire::Request{wire::Command::set, 0, "key", "value", std::nullopt});
  EXPECT_NE(talk(server.port(), request).find("does not speak"), std::string::npos);
}

TEST(TcpStore, RefusesHugeLengths) {
  const TcpStoreServer server("127.0.0.1", 0, "");
  std::string request = wire::encode(wire::Request{wire::Command::set, 0, "key", "value", std::nullopt});
  request[14] = '\x7f';  // the value's length, now two gigabytes
  EXPECT_NE(talk(server.port(), wire::encode_hello("") + request).find("out of bounds"), std::string::npos);
}

TEST(TcpStore, SurvivesGarbage) {
  const TcpStoreServer server("127.0.0.1", 0, "token");
  const RandomStream stream(1, "garbage");
  for (int turn = 0; turn < 60; ++turn) {
    std::string bytes = turn % 2 == 0 ? "" : wire::encode_hello("token");
    for (int i = 0; i < turn * 5; ++i) {
      bytes += static_cast<char>(stream.bits(static_cast<std::uint64_t>(turn * 1000 + i)));
    }
    talk(server.port(), bytes);
  }
  TcpStore store("127.0.0.1", server.port(), "token", seconds(10));
  store.set("still", "here");
  EXPECT_EQ(store.try_get("still"), "here");
}

TEST(TcpStore, APeerThatSaysNothingHindersNobody) {
  const TcpStoreServer server("127.0.0.1", 0, "token");
  const int silent = raw_connection(server.port());
  TcpStore store("127.0.0.1", server.port(), "token", seconds(10));
  store.set("key", "value");
  EXPECT_EQ(store.try_get("key"), "value");
  close(silent);
}

TEST(TcpStore, ADeadServerIsAnErrorWithinTheDeadline) {
  auto server = std::make_unique<TcpStoreServer>("127.0.0.1", 0, "");
  TcpStore store("127.0.0.1", server->port(), "", milliseconds(300));
  store.set("key", "value");
  server.reset();
  EXPECT_THROW(store.try_get("key"), Error);
  EXPECT_THROW(store.get("key", milliseconds(300)), Error);
}

TEST(TcpStore, APortInUseIsNamed) {
  const TcpStoreServer server("127.0.0.1", 0, "");
  try {
    TcpStoreServer("127.0.0.1", server.port(), "");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(server.port())), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace trireme::comm
