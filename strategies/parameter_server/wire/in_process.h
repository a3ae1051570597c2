// Endpoints between threads of one process: parcels pass by reference. The executable specification of endpoint.h, and
// what ranks as threads train over.
#pragma once

#include <memory>

#include "trireme/strategies/parameter_server/wire/endpoint.h"

namespace trireme::strategies::parameter_server {

// Where the endpoints of one job meet. Thread-safe.
class InProcessHub {
 public:
  // A sender waits while so many bytes wait for the receiver.
  explicit InProcessHub(std::size_t window_bytes = std::size_t{256} << 20);
  ~InProcessHub();
  InProcessHub(const InProcessHub&) = delete;
  InProcessHub& operator=(const InProcessHub&) = delete;

  // The node's place, which must be free. It keeps the hub's state alive, and leaves when it is destroyed: everybody
  // who has sent to it or heard from it is told. Raises Error if the node is there already.
  std::unique_ptr<Endpoint> join(Node self);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace trireme::strategies::parameter_server
