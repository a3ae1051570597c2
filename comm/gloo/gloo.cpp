#include "trireme/comm/gloo/gloo.h"

#include <gloo/transport/tcp/device.h>

#include <algorithm>
#include <csignal>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/gloo/gloo_link-inl.h"
#include "trireme/comm/gloo/network.h"
#include "trireme/comm/message/message_communicator.h"

namespace trireme::comm {
namespace {

using gloo_backend::GlooLink;

// Gloo writes to connections whose other end may have gone.
void ignore_broken_pipes() {
  struct sigaction present {};
  if (sigaction(SIGPIPE, nullptr, &present) == 0 && present.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
  }
}

// All ranks read what all have written.
bool on_one_host(int rank, int size, Store& store, const GlooOptions& options) {
  const std::string own = gloo_backend::network_identity();
  store.set(fmt::format("{}/host/{}", options.prefix, rank), own);
  bool one = true;
  for (int peer = 0; peer < size; ++peer) {
    try {
      one = store.get(fmt::format("{}/host/{}", options.prefix, peer), options.timeout) == own && one;
    } catch (const Error& error) {
      fail("backend gloo: rank {} waits for rank {}, which has not come: {}", rank, peer, error.what());
    }
  }
  return one;
}

std::string choose_address(int rank, int size, Store& store, const GlooOptions& options) {
  const bool one_host = on_one_host(rank, size, store, options);
  if (!options.interface.empty()) {
    const std::optional<Interface> named = find_interface(options.interface);
    return named ? named->address : options.interface;
  }
  if (one_host) {
    return "127.0.0.1";
  }
  const std::string address = options.towards.empty() ? "" : gloo_backend::address_towards(options.towards);
  return address.empty() || is_loopback(address) ? outward_address() : address;
}

// Checked here, as Gloo does not survive a name without an address.
std::shared_ptr<gloo::transport::Device> make_device(int rank, const std::string& address) {
  if (!gloo_backend::is_local(address)) {
    fail_usage(
        "backend gloo: \"{}\" given (--interface) on rank {}, an address or an interface of this host expected ({})",
        address, rank, names_of_interfaces());
  }
  try {
    return gloo::transport::tcp::CreateDevice(gloo::transport::tcp::attr(address.c_str()));
  } catch (const std::exception& error) {
    fail("backend gloo: cannot listen on {} on rank {}: {}", address, rank, error.what());
  }
}

}  // namespace

std::shared_ptr<Communicator> connect_gloo(int rank, int size, std::shared_ptr<Store> store,
                                           const GlooOptions& options) {
  require(size >= 1 && rank >= 0 && rank < size, "backend gloo: rank {} of {} ranks given", rank, size);
  require(store != nullptr, "backend gloo: no store given, through which the ranks find each other");
  ignore_broken_pipes();
  const auto deadline = std::chrono::steady_clock::now() + options.timeout;
  auto device = make_device(rank, choose_address(rank, size, *store, options));
  auto link = std::make_unique<GlooLink>(rank, size, std::move(device), std::move(store), options.prefix, deadline);
  return std::make_shared<message::MessageCommunicator>(std::move(link), options.timeout);
}

bool has_gloo() { return true; }

}  // namespace trireme::comm
