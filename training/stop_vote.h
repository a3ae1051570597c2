// All ranks stop after the same step: a signal or a clock reaches each rank at its own moment, so they vote.
#pragma once

#include <cstdint>
#include <string_view>

#include "trireme/comm/communicator.h"

namespace trireme::training {

// Why a run ended; where ranks differ, the largest one counts.
enum class StopReason : std::int32_t {
  none = 0,
  finished = 1,   // all steps done
  requested = 2,  // early stopping, or a callback called Trainer::stop()
  time_limit = 3,
  signal = 4,  // SIGTERM, SIGINT, SIGUSR1
};
std::string_view name_of(StopReason reason);

class StopVote {
 public:
  // `together`: all ranks finish a step together. Where they do not, each decides for itself, and waits for nobody.
  explicit StopVote(comm::Communicator& communicator, bool together = true);

  // Collective, once after each step. Hands in this rank's wish and returns what all ranks agreed on after the step
  // before: the reduction of a wish runs beside the next step and costs no waiting. A lone rank decides at once.
  StopReason vote(StopReason wish);
  // Collective: waits for the last vote and returns its result, so that no operation is left in flight.
  StopReason finish();

 private:
  StopReason collect();

  comm::Communicator& communicator_;
  bool together_;
  Array ballot_;
  comm::Work work_;
  bool open_ = false;
};

}  // namespace trireme::training
