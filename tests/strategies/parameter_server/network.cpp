#include "tests/strategies/parameter_server/network.h"

#include <algorithm>

namespace trireme::strategies::parameter_server {

std::chrono::nanoseconds SimulatedNetwork::delay() {
  const std::chrono::duration<double, std::nano> extra = (faults_.delay_max - faults_.delay_min) * draw();
  return faults_.delay_min + std::chrono::duration_cast<std::chrono::nanoseconds>(extra);
}

void SimulatedNetwork::send(TimePoint now, Node from, Outgoing outgoing) {
  const std::pair pair = std::minmax(from, outgoing.to);
  TimePoint& cut_until = cut_until_[pair];
  if (cut_until <= now && draw() < faults_.cut) {
    const std::chrono::duration<double, std::milli> length = faults_.cut_max * draw();
    cut_until = now + std::chrono::duration_cast<std::chrono::nanoseconds>(length);
    lose(now, from, outgoing.to, "the network was cut");
    lose(now, outgoing.to, from, "the network was cut");
  }
  if (cut_until > now || draw() < faults_.drop) {
    return;
  }
  for (int copy = draw() < faults_.duplicate ? 2 : 1; copy > 0; --copy) {
    const TimePoint time = now + delay();
    under_way_.emplace(std::pair{time, order_++},
                       Arrival{time, outgoing.to, {Endpoint::Event::Kind::parcel, from, outgoing.parcel, {}}});
  }
}

void SimulatedNetwork::lose(TimePoint now, Node from, Node to, const std::string& why) {
  const TimePoint time = now + faults_.delay_max;  // behind everything that was sent before
  under_way_.emplace(std::pair{time, order_++}, Arrival{time, to, {Endpoint::Event::Kind::lost, from, {}, why}});
}

std::optional<SimulatedNetwork::TimePoint> SimulatedNetwork::next() const {
  return under_way_.empty() ? std::nullopt : std::optional(under_way_.begin()->first.first);
}

SimulatedNetwork::Arrival SimulatedNetwork::take() {
  return std::move(under_way_.extract(under_way_.begin()).mapped());
}

}  // namespace trireme::strategies::parameter_server
