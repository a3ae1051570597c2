// The connections of the ranks of one communicator: a TCP socket between each two.
#pragma once

#include <gloo/context.h>
#include <gloo/transport/device.h>

#include <chrono>
#include <memory>
#include <string>

#include "trireme/comm/message/link.h"
#include "trireme/comm/store/store.h"

namespace trireme::comm::gloo_backend {

// What the 64 bits of a Gloo slot begin with; Gloo's own collectives use 0x01 to 0x08.
inline constexpr std::uint64_t kTransferSlots = std::uint64_t{0x70} << 56;
inline constexpr std::uint64_t kLetterSlot = std::uint64_t{0x71} << 56;
inline constexpr std::uint64_t kTripwireSlot = std::uint64_t{0x72} << 56;  // nothing is ever sent there

// Waiting that only an abort ends: a wait of Gloo that times out closes all connections.
inline constexpr auto kForever = std::chrono::hours(100);

using Buffer = std::unique_ptr<gloo::transport::UnboundBuffer>;

class Mesh : public gloo::Context {
 public:
  // Blocks until this rank is connected with all others, which do the same with the same prefix.
  Mesh(int rank, int size, const std::shared_ptr<gloo::transport::Device>& device, Store& store,
       const std::string& prefix, Link::Deadline deadline);

  // A buffer that is all of memory, so that one serves every array; places in it are addresses.
  Buffer whole_memory() { return createUnboundBuffer(nullptr, ~std::size_t{0}); }
};

inline std::size_t place_of(const void* data) { return reinterpret_cast<std::size_t>(data); }

// A message of Gloo without its file and line.
std::string plain(std::string text);
// Raises LinkError with the message of the exception in flight.
[[noreturn]] void rethrow(int peer);

}  // namespace trireme::comm::gloo_backend
