#include "trireme/comm/store/tcp_store.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "trireme/comm/store/addresses.h"
#include "trireme/comm/store/wire.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;

int milliseconds_left(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
}

}  // namespace

// One socket to the server. After an error it is in an unknown state and must be thrown away.
class TcpStore::Connection {
 public:
  Connection(const std::string& host, int port, TimePoint deadline)
      : peer_(fmt::format("{}:{}", host, port)), socket_(connect_until(host, port, deadline)) {}
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& peer() const { return peer_; }

  void send_all(std::string_view bytes, TimePoint deadline) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN && errno != EINTR) {
        lost();
      } else if (!ready(POLLOUT, deadline)) {
        fail("store: the server at {} takes no requests; is its process stopped?", peer_);
      }
    }
  }

  // Nothing when the deadline passes first.
  std::optional<wire::Reply> receive(TimePoint deadline) {
    while (true) {
      if (auto reply = wire::take_reply(buffer_)) {
        return reply;
      }
      char chunk[4096];
      const ssize_t got = recv(socket_, chunk, sizeof chunk, MSG_DONTWAIT);
      if (got > 0) {
        buffer_.append(chunk, static_cast<std::size_t>(got));
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        lost();
      } else if (!ready(POLLIN, deadline)) {
        return std::nullopt;
      }
    }
  }

 private:
  bool ready(short events, TimePoint deadline) {
    pollfd waiting{socket_, events, 0};
    return poll(&waiting, 1, milliseconds_left(deadline)) > 0 || std::chrono::steady_clock::now() < deadline;
  }
  [[noreturn]] void lost() {
    fail("store: the server at {} has closed the connection; rank 0, which serves it, has ended or refused it", peer_);
  }

  std::string peer_;
  int socket_;
  std::string buffer_;
};

TcpStore::TcpStore(std::string host, int port, std::string token, std::chrono::milliseconds timeout)
    : TcpStore(std::move(host), port, std::move(token), timeout, timeout) {}

TcpStore::TcpStore(std::string host, int port, std::string token, std::chrono::milliseconds timeout,
                   std::chrono::milliseconds patience)
    : host_(std::move(host)), port_(port), token_(std::move(token)), timeout_(timeout) {
  require(token_.size() <= wire::kMaxTokenBytes, "store: a job token of {} bytes given, at most {} expected",
          token_.size(), wire::kMaxTokenBytes);
  connection(patience);
}

TcpStore::~TcpStore() = default;

TcpStore::Connection& TcpStore::connection(std::chrono::milliseconds patience) {
  if (connection_ == nullptr) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    auto fresh = std::make_unique<Connection>(host_, port_, deadline);
    fresh->send_all(wire::encode_hello(token_), deadline);
    const std::optional<wire::Reply> reply = fresh->receive(deadline);
    require(reply.has_value(), "store: the server at {} does not answer; is it a Trireme store?", fresh->peer());
    require(reply->status == wire::Status::ok, "store: the server at {} refused this process: {}", fresh->peer(),
            reply->text);
    connection_ = std::move(fresh);
  }
  return *connection_;
}

// Whatever goes wrong closes the connection, because an answer may still be on its way.
std::optional<wire::Reply> TcpStore::exchange(const wire::Request& request, std::chrono::milliseconds timeout) {
  const std::lock_guard lock(mutex_);
  try {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    Connection& open = connection(timeout_);
    open.send_all(wire::encode(request), deadline);
    std::optional<wire::Reply> reply = open.receive(deadline);
    if (!reply) {
      connection_.reset();
    }
    return reply;
  } catch (...) {
    connection_.reset();
    throw;
  }
}

wire::Reply TcpStore::call(const wire::Request& request) {
  check_store_entry(request.key, request.value);
  const std::optional<wire::Reply> reply = exchange(request, timeout_);
  require(reply.has_value(), "store: the server at {}:{} has not answered within {} ms; is its process stopped?", host_,
          port_, timeout_.count());
  require(reply->status != wire::Status::error, "{}", reply->text);
  return *reply;
}

void TcpStore::set(std::string_view key, std::string_view value) {
  call({wire::Command::set, 0, std::string(key), std::string(value), std::nullopt});
}

std::optional<std::string> TcpStore::try_get(std::string_view key) {
  const wire::Reply reply = call({wire::Command::try_get, 0, std::string(key), {}, std::nullopt});
  return reply.status == wire::Status::ok ? std::optional(reply.text) : std::nullopt;
}

std::string TcpStore::get(std::string_view key, std::chrono::milliseconds timeout) {
  check_store_entry(key, "");
  const auto reply = exchange({wire::Command::wait, 0, std::string(key), {}, std::nullopt}, timeout);
  if (!reply) {
    store_timeout(key, timeout, fmt::format("the store of rank 0 at {}:{}", host_, port_));
  }
  require(reply->status == wire::Status::ok, "{}", reply->text);
  return reply->text;
}

std::int64_t TcpStore::add(std::string_view key, std::int64_t delta) {
  return call({wire::Command::add, delta, std::string(key), {}, std::nullopt}).number;
}

bool TcpStore::compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                               std::string_view value) {
  return call({wire::Command::compare_and_set, 0, std::string(key), std::string(value), expected}).number != 0;
}

void TcpStore::erase(std::string_view key) { call({wire::Command::erase, 0, std::string(key), {}, std::nullopt}); }

}  // namespace trireme::comm
