#include <gloo/transport/context.h>
#include <gloo/transport/pair.h>

#include <algorithm>
#include <cstring>

#include "trireme/comm/gloo/mesh-inl.h"

namespace trireme::comm::gloo_backend {
namespace {

std::chrono::milliseconds left_until(Link::Deadline deadline) {
  return std::max(std::chrono::milliseconds(1),
                  std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()));
}

// One rank's addresses, one for each peer: "LENGTH TEXT LENGTH BYTES" each, as the store keeps texts.
void append(std::string& to, std::string_view field) { to += std::to_string(field.size()) + " " + std::string(field); }

std::string_view take(std::string_view& from) {
  const std::size_t space = from.find(' ');
  require(space != std::string_view::npos, "backend gloo: an address in the store is damaged");
  const std::size_t size = std::strtoul(std::string(from.substr(0, space)).c_str(), nullptr, 10);
  require(size <= from.size() - space - 1, "backend gloo: an address in the store is damaged");
  const std::string_view field = from.substr(space + 1, size);
  from.remove_prefix(space + 1 + size);
  return field;
}

}  // namespace

std::string plain(std::string text) {
  const std::size_t end = text.find(".cc:") == std::string::npos ? std::string::npos : text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

void rethrow(int peer) {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw LinkError(plain(error.what()), peer);
  }
}

Mesh::Mesh(int rank, int size, const std::shared_ptr<gloo::transport::Device>& device, Store& store,
           const std::string& prefix, Link::Deadline deadline)
    : gloo::Context(rank, size) {
  const auto connections = device->createContext(rank, size);
  connections->setTimeout(std::max(std::chrono::milliseconds(10), left_until(deadline) / 5));  // Gloo takes it times 5
  std::string own;
  for (int peer = 0; peer < size; ++peer) {
    std::string text;
    std::vector<char> bytes;
    if (peer != rank) {
      const gloo::transport::Address& address = connections->createPair(peer)->address();
      text = address.str();
      bytes = address.bytes();
    }
    append(own, text);
    append(own, {bytes.data(), bytes.size()});
  }
  store.set(prefix + "/" + std::to_string(rank), own);
  std::string_view mine = own;
  for (int peer = 0; peer < size; ++peer) {
    const std::string_view from = take(mine);
    take(mine);
    if (peer == rank) {
      continue;
    }
    std::string theirs;
    try {
      theirs = store.get(prefix + "/" + std::to_string(peer), left_until(deadline));
    } catch (const Error& error) {
      fail("backend gloo: rank {} waits for rank {}, which has not come: {}", rank, peer, error.what());
    }
    std::string_view fields = theirs;
    for (int i = 0; i < 2 * rank; ++i) {
      take(fields);
    }
    const std::string to(take(fields));
    const std::string_view address = take(fields);
    try {
      connections->getPair(peer)->connect({address.begin(), address.end()});
    } catch (const std::exception& error) {
      fail(
          "backend gloo: rank {} at {} cannot reach rank {} at {}: {}; is it the right network (--interface), and no "
          "firewall between?",
          rank, from, peer, to, plain(error.what()));
    }
  }
  device_ = device;
  transportContext_ = connections;
}

}  // namespace trireme::comm::gloo_backend
