// A store that rank 0 serves over TCP at MASTER_ADDR:MASTER_PORT. Both sides prove that they know the job's token;
// bytes that are no such protocol end only their own connection.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "trireme/comm/store/store.h"

namespace trireme::comm {

namespace wire {
struct Request;
struct Reply;
}  // namespace wire

// Serves the values from a thread of its own until it is destroyed.
class TcpStoreServer {
 public:
  // Listens on `host` (a name or address of this machine; empty: every interface). Port 0 takes a free one. Raises
  // Error naming the port when it is in use.
  TcpStoreServer(const std::string& host, int port, std::string token);
  ~TcpStoreServer();
  TcpStoreServer(const TcpStoreServer&) = delete;
  TcpStoreServer& operator=(const TcpStoreServer&) = delete;

  int port() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

class TcpStore final : public Store {
 public:
  // Connects, trying again until the server is up. Raises Error when `timeout` has passed, or at once when the server
  // refuses the token. `timeout` also bounds every later request's answer.
  TcpStore(std::string host, int port, std::string token, std::chrono::milliseconds timeout);
  // As above, but the server must be up and answer within `patience`.
  TcpStore(std::string host, int port, std::string token, std::chrono::milliseconds timeout,
           std::chrono::milliseconds patience);
  ~TcpStore() override;

  void set(std::string_view key, std::string_view value) override;
  std::optional<std::string> try_get(std::string_view key) override;
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override;
  std::int64_t add(std::string_view key, std::int64_t delta) override;
  bool compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                       std::string_view value) override;
  void erase(std::string_view key) override;

 private:
  class Connection;
  Connection& connection(std::chrono::milliseconds patience);
  std::optional<wire::Reply> exchange(const wire::Request& request, std::chrono::milliseconds timeout);
  wire::Reply call(const wire::Request& request);

  const std::string host_;
  const int port_;
  const std::string token_;
  const std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::unique_ptr<Connection> connection_;  // renewed after a request that got no answer
};

}  // namespace trireme::comm
