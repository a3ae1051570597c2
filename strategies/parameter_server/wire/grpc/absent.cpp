// In place of the carrier where gRPC was not there when Trireme was built, or was switched off.
#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/grpc/grpc_carrier.h"

namespace trireme::strategies::parameter_server {

bool has_grpc() { return false; }

namespace wire {

std::unique_ptr<Carrier> make_grpc_carrier(const WireOptions&) {
  fail_usage(
      "parameter servers on several hosts: this build has no gRPC; install it (Debian: libgrpc++-dev) and build again "
      "with -DTRIREME_WITH_GRPC=ON, or keep workers and servers on one host");
}

}  // namespace wire
}  // namespace trireme::strategies::parameter_server
