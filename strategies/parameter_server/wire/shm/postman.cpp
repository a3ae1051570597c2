#include "trireme/strategies/parameter_server/wire/shm/postman.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::strategies::parameter_server::wire {

Postman::Postman() : epoll_(epoll_create1(EPOLL_CLOEXEC)), bell_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  require(epoll_ && bell_ && change(EPOLL_CTL_ADD, bell_.get(), EPOLLIN),
          "wire: the system has no more descriptors{}; raise ulimit -n", errno_text(errno));
  thread_ = std::thread([this] { run(); });
}

Postman::~Postman() {
  stopping_ = true;
  eventfd_write(bell_.get(), 1);
  thread_.join();
  std::map<int, std::shared_ptr<Client>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(clients_);
  }
  for (const auto& [socket, client] : left) {
    client->on_stop();
  }
}

bool Postman::change(int operation, int socket, std::uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.fd = socket;
  return epoll_ctl(epoll_.get(), operation, socket, &event) == 0;
}

void Postman::add(int socket, std::shared_ptr<Client> client) {
  const std::lock_guard lock(mutex_);
  require(change(EPOLL_CTL_ADD, socket, EPOLLIN), "wire: a socket cannot be watched{}", errno_text(errno));
  clients_[socket] = std::move(client);
}

void Postman::want_write(int socket, bool wanted) {
  const std::lock_guard lock(mutex_);
  if (clients_.contains(socket)) {
    change(EPOLL_CTL_MOD, socket, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

void Postman::mute(int socket) { change(EPOLL_CTL_DEL, socket, 0); }

void Postman::remove(int socket) {
  const std::lock_guard lock(mutex_);
  if (clients_.erase(socket) > 0) {
    change(EPOLL_CTL_DEL, socket, 0);
  }
}

void Postman::wake(int socket) {
  const std::lock_guard lock(mutex_);
  woken_.push_back(socket);
  if (woken_.size() == 1) {
    eventfd_write(bell_.get(), 1);
  }
}

std::vector<std::shared_ptr<Postman::Client>> Postman::wait() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
  std::vector<int> sockets;
  for (int i = 0; i < count; ++i) {
    sockets.push_back(events[static_cast<std::size_t>(i)].data.fd);
  }
  std::vector<std::shared_ptr<Client>> ready;
  const std::lock_guard lock(mutex_);
  if (!woken_.empty()) {
    eventfd_t ignored = 0;
    eventfd_read(bell_.get(), &ignored);
    sockets.insert(sockets.end(), woken_.begin(), woken_.end());
    woken_.clear();
  }
  for (const int socket : sockets) {
    if (const auto found = clients_.find(socket); found != clients_.end()) {
      ready.push_back(found->second);
    }
  }
  return ready;
}

void Postman::run() noexcept {
  while (!stopping_) {
    try {
      for (const auto& client : wait()) {
        client->on_ready();
      }
    } catch (const std::exception& error) {
      log::error("wire: {}", error.what());
    }
  }
}

}  // namespace trireme::strategies::parameter_server::wire
