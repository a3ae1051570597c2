// A network of one thread on virtual time, which loses, doubles, delays, reorders and cuts. Everything that happens is
// a function of the seed.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "trireme/core/base/random.h"
#include "trireme/strategies/parameter_server/protocol/message.h"

namespace trireme::strategies::parameter_server {

struct Faults {
  double drop = 0.3;
  double duplicate = 0.2;
  std::chrono::microseconds delay_min{50};
  std::chrono::microseconds delay_max{3000};  // each parcel its own: they overtake each other
  double cut = 0.002;                         // a parcel finds its pair cut from each other, for up to:
  std::chrono::milliseconds cut_max{150};
};

class SimulatedNetwork {
 public:
  using TimePoint = Endpoint::TimePoint;
  struct Arrival {
    TimePoint time;
    Node to;
    Endpoint::Event event;
  };

  SimulatedNetwork(std::uint64_t seed, const Faults& faults) : random_(seed, "network"), faults_(faults) {}

  void send(TimePoint now, Node from, Outgoing outgoing);
  // `from` is gone: `to` hears of it.
  void lose(TimePoint now, Node from, Node to, const std::string& why);
  std::optional<TimePoint> next() const;
  Arrival take();

 private:
  double draw() { return random_.uniform(drawn_++); }
  std::chrono::nanoseconds delay();

  RandomStream random_;
  std::uint64_t drawn_ = 0;
  Faults faults_;
  std::uint64_t order_ = 0;
  std::map<std::pair<TimePoint, std::uint64_t>, Arrival> under_way_;
  std::map<std::pair<Node, Node>, TimePoint> cut_until_;
};

}  // namespace trireme::strategies::parameter_server
