#include "trireme/strategies/parameter_server/wire/shm/shm_carrier.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "trireme/comm/environment/host_table.h"
#include "trireme/comm/environment/variables.h"
#include "trireme/core/base/log.h"
#include "trireme/strategies/parameter_server/wire/shm/shm_link.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

class Listener final : public Postman::Client {
 public:
  Listener(Fd socket, Postman& postman, Accept accept)
      : socket_(std::move(socket)), postman_(postman), accept_(std::move(accept)) {}

  void on_ready() override {
    while (Fd caller = accept_locally(socket_.get())) {
      std::shared_ptr<LinkHandler> handler;
      try {
        const auto link = std::make_shared<ShmLink>(std::move(caller), postman_);
        handler = accept_(link);
        link->start(handler);
      } catch (const Error& error) {
        log::debug("wire: a connection could not be taken: {}", error.what());
        if (handler != nullptr) {
          handler->on_end(error.what());
        }
      }
    }
  }
  void on_stop() override {}
  int socket() const { return socket_.get(); }

 private:
  const Fd socket_;
  Postman& postman_;
  const Accept accept_;
};

class ShmCarrier final : public Carrier {
 public:
  void listen(Address& address, Accept accept) override {
    std::random_device random;
    address.shm = fmt::format("trireme-ps-{}-{:08x}{:08x}", getpid(), random(), random());
    address.host = identity_of_host();
    const auto listener = std::make_shared<Listener>(listen_locally(address.shm), postman_, std::move(accept));
    postman_.add(listener->socket(), listener);
  }

  std::shared_ptr<Link> dial(const Address& address, std::shared_ptr<LinkHandler> handler) override {
    const auto link = std::make_shared<ShmLink>(call_locally(address.shm), postman_);
    link->start(std::move(handler));
    return link;
  }

 private:
  Postman postman_;
};

}  // namespace

std::unique_ptr<Carrier> make_shm_carrier() { return std::make_unique<ShmCarrier>(); }

std::string identity_of_host() {
  char network[PATH_MAX];
  const ssize_t size = readlink("/proc/self/ns/net", network, sizeof network);
  const comm::HostFacts facts =
      comm::facts_of_this_process(comm::Variables::of_process().text("TRIREME_HOST_NAME"), false, false);
  return fmt::format("{} {} {}", facts.name, facts.sharing,
                     std::string(network, static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
}

}  // namespace trireme::strategies::parameter_server::wire
