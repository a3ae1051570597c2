// In place of the backend where Gloo was not there when Trireme was built, or was switched off.
#include "trireme/comm/gloo/gloo.h"

namespace trireme::comm {

std::shared_ptr<Communicator> connect_gloo(int, int, std::shared_ptr<Store>, const GlooOptions&) {
  fail_usage(
      "backend gloo: this build does not have it; install Gloo (Debian: libgloo-dev) and build again with "
      "-DTRIREME_WITH_GLOO=ON, or use another backend");
}

bool has_gloo() { return false; }

}  // namespace trireme::comm
