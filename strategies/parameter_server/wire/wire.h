// Opens a process's place on the wire: shared memory between processes of one host, gRPC between hosts.
//
// Servers listen and leave their address in the job's store; workers call servers, and servers call each other. A
// worker is reached over the connection that it has made: what a server sends to a worker that has none is lost, as if
// it had broken under way. A process that has died, or whose host is gone, is lost; one that hangs is not, as long as
// its system answers for it: leases are the protocol's business. Every connection begins with a greeting that checks
// protocol, job token, generation and place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "trireme/comm/store/store.h"
#include "trireme/strategies/parameter_server/wire/endpoint.h"

namespace trireme::strategies::parameter_server {

// PEM files. With all three, connections between hosts are encrypted and both sides show a certificate that the
// authority has signed.
struct TlsFiles {
  std::string certificate = {};
  std::string key = {};
  std::string authority = {};
  // The name that the servers' certificates are for; empty: the address at which they are called.
  std::string name = {};

  bool given() const { return !certificate.empty() || !key.empty() || !authority.empty(); }
};

inline constexpr std::uint32_t kWireProtocol = 1;

struct WireOptions {
  Node self = {};
  int workers = 0;  // of the job
  int servers = 0;
  std::shared_ptr<comm::Store> store = {};
  std::string generation = "0";  // of the job: its restarts do not meet each other
  std::string token = {};        // TRIREME_JOB_TOKEN: the same on all processes
  std::string carrier = "auto";  // auto | shm | grpc; auto: shm where two processes share a host, else grpc
  std::string interface = {};    // that a server listens on for other hosts; empty: the one that reaches outward
  TlsFiles tls = {};
  std::size_t window = std::size_t{64} << 20;  // bytes for each peer, at the sender and again at the receiver
  std::uint32_t protocol = kWireProtocol;      // another one: for tests
};

// A server is in the store when this returns. Raises Error (usage) for options that cannot be honoured.
std::unique_ptr<Endpoint> open_wire(const WireOptions& options);

// Whether this build has gRPC.
bool has_grpc();

}  // namespace trireme::strategies::parameter_server
