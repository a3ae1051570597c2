// The one thread of the shared-memory carrier: it sleeps until a socket is ready or somebody wakes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/core/base/fd.h"

namespace trireme::strategies::parameter_server::wire {

class Postman {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    // On the postman's thread, when the socket can be read (or written, where that was wanted), or after wake().
    virtual void on_ready() = 0;
    // The postman's thread has ended. On the thread that destroys the postman.
    virtual void on_stop() = 0;
  };

  Postman();
  ~Postman();  // waits for the call in progress, then tells all clients
  Postman(const Postman&) = delete;
  Postman& operator=(const Postman&) = delete;

  // Any thread.
  void add(int socket, std::shared_ptr<Client> client);
  void want_write(int socket, bool wanted);
  // Only wake() serves it from here on: a socket that has hung up would be ready for ever.
  void mute(int socket);
  void remove(int socket);
  void wake(int socket);

 private:
  void run() noexcept;
  std::vector<std::shared_ptr<Client>> wait();
  bool change(int operation, int socket, std::uint32_t events) const;

  Fd epoll_;
  Fd bell_;
  std::mutex mutex_;
  std::map<int, std::shared_ptr<Client>> clients_;  // by socket
  std::vector<int> woken_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace trireme::strategies::parameter_server::wire
