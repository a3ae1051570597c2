// StaleUpdates: ssp and async. A push is applied when it arrives; a pull of step t waits until everything is applied
// that step t must see.
#pragma once

#include <vector>

#include "trireme/strategies/parameter_server/clocks/staleness_clock.h"
#include "trireme/strategies/parameter_server/server/engine.h"

namespace trireme::strategies::parameter_server {

class StaleUpdates final : public Engine {
 public:
  StaleUpdates(const Plan& plan, Shard& shard);

  std::int64_t join(int worker) override { return clock_.join(worker); }
  void leave(int worker, const std::string& why, Replies& replies) override;
  void request(const Request& request, Replies& replies) override;
  void repeat(const Request& request, Replies& replies) override;

 private:
  void apply(const Request& request);
  void read(const Request& request, Replies& replies);
  void answer(const Request& request, Replies& replies);
  void wake(Replies& replies);

  const Plan& plan_;
  Shard& shard_;
  StalenessClock clock_;
  std::vector<Request> waiting_;  // pulls and push_pulls (already applied), in order of arrival
};

}  // namespace trireme::strategies::parameter_server
