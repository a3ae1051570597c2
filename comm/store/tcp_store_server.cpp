#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <list>
#include <thread>

#include "trireme/comm/store/addresses.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/comm/store/tcp_store.h"
#include "trireme/comm/store/wire.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"
#include "trireme/core/base/secret.h"

namespace trireme::comm {
namespace {

constexpr std::size_t kMaxClients = 4096;
constexpr std::size_t kMaxUnsentBytes = 4 * Store::kMaxValueBytes;  // more: the client does not read its answers

struct Client {
  explicit Client(int fd) : socket(fd) {}
  ~Client() { close(socket); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int socket;
  bool known = false;   // has shown the token
  bool ending = false;  // close once `out` is sent
  std::string in;
  std::string out;
  std::optional<std::string> waits_for;  // a key
};

}  // namespace

// The server's thread: one poll() over everything, so nothing here needs a lock.
class TcpStoreServer::Loop {
 public:
  Loop(const std::string& host, int port, std::string token)
      : token_(std::move(token)),
        listener_(listen_on(host, port)),
        port_(port_of(listener_)),
        stop_(eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(listener_);
    close(stop_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  int port() const { return port_; }

 private:
  void run() noexcept {
    try {
      while (round()) {
      }
    } catch (const std::exception& error) {
      log::error("store: the server has stopped: {}", error.what());
    }
    clients_.clear();
  }

  // Waits for something to happen and deals with it; false when it is time to stop.
  bool round() {
    polled_.assign({{stop_, POLLIN, 0}, {listener_, clients_.size() < kMaxClients ? short{POLLIN} : short{0}, 0}});
    for (const Client& client : clients_) {
      polled_.push_back({client.socket, static_cast<short>(client.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    }
    if (poll(polled_.data(), polled_.size(), -1) < 0) {
      return errno == EINTR;
    }
    std::size_t next = 2;
    for (auto client = clients_.begin(); client != clients_.end(); ++next) {
      client = polled_[next].revents == 0 || serve(*client) ? std::next(client) : clients_.erase(client);
    }
    if (polled_[1].revents != 0) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) {
        clients_.emplace_back(fd);
      }
    }
    return polled_[0].revents == 0;
  }

  // False when the connection is over.
  bool serve(Client& client) {
    try {
      const bool open = read_from(client);
      handle(client);
      return flush(client) && open && !(client.ending && client.out.empty());
    } catch (const Error& error) {  // no such protocol: say so and hang up
      client.out += wire::encode(wire::Reply{wire::Status::error, 0, error.what()});
      client.in.clear();
      client.ending = true;
      return flush(client) && !client.out.empty();
    }
  }

  static bool read_from(Client& client) {
    char chunk[16384];
    while (true) {
      const ssize_t got = recv(client.socket, chunk, sizeof chunk, 0);
      if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
      }
      client.in.append(chunk, static_cast<std::size_t>(got));
      if (client.in.size() >= sizeof chunk) {  // look at what is there before reading more
        return true;
      }
    }
  }

  static bool flush(Client& client) {
    while (!client.out.empty()) {
      const ssize_t sent = send(client.socket, client.out.data(), client.out.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        return (errno == EAGAIN || errno == EINTR) && client.out.size() <= kMaxUnsentBytes;
      }
      client.out.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }

  void handle(Client& client) {
    if (client.ending) {
      client.in.clear();
      return;
    }
    if (!client.known) {
      const std::optional<std::string> token = wire::take_hello(client.in);
      if (!token) {
        return;
      }
      require(equal_secrets(*token, token_), "wrong job token (TRIREME_JOB_TOKEN): this store belongs to another job");
      client.known = true;
      client.out += wire::encode(wire::Reply{});
    }
    while (!client.waits_for) {
      const std::optional<wire::Request> request = wire::take_request(client.in);
      if (!request) {
        return;
      }
      answer(client, *request);
    }
  }

  void answer(Client& client, const wire::Request& request) {
    wire::Reply reply;
    switch (request.command) {
      case wire::Command::set:
        values_.set(request.key, request.value);
        break;
      case wire::Command::wait:
        client.waits_for = request.key;
        wake_waiting();
        return;
      case wire::Command::try_get:
        if (const auto value = values_.try_get(request.key)) {
          reply.text = *value;
        } else {
          reply.status = wire::Status::absent;
        }
        break;
      case wire::Command::add:
        reply.number = values_.add(request.key, request.number);
        break;
      case wire::Command::compare_and_set:
        reply.number = values_.compare_and_set(request.key, request.expected, request.value) ? 1 : 0;
        break;
      case wire::Command::erase:
        values_.erase(request.key);
        break;
    }
    client.out += wire::encode(reply);
    wake_waiting();
  }

  // Their answers leave in the next round, for which POLLOUT is then asked.
  void wake_waiting() {
    for (Client& client : clients_) {
      if (client.waits_for) {
        if (const auto value = values_.try_get(*client.waits_for)) {
          client.waits_for.reset();
          client.out += wire::encode(wire::Reply{wire::Status::ok, 0, *value});
        }
      }
    }
  }

  const std::string token_;
  const int listener_;
  const int port_;
  const int stop_;
  MemoryStore values_;
  std::list<Client> clients_;
  std::vector<pollfd> polled_;
  std::thread thread_;
};

TcpStoreServer::TcpStoreServer(const std::string& host, int port, std::string token)
    : loop_(std::make_unique<Loop>(host, port, std::move(token))) {}

TcpStoreServer::~TcpStoreServer() = default;

int TcpStoreServer::port() const { return loop_->port(); }

}  // namespace trireme::comm
