// Learning rates over time: pure functions of the step, so that a resumed run goes on as if it had never stopped.
#pragma once

#include <cstdint>

namespace trireme::optim {

struct Schedule {
  enum class Kind : std::uint8_t { constant, cosine, linear, step } kind = Kind::constant;
  double peak = 1e-3;             // the rate after warm-up
  double final = 0;               // cosine, linear: the rate at total_steps and later
  std::int64_t warmup_steps = 0;  // the rate rises linearly: peak * (s + 1) / warmup_steps for s < warmup_steps
  std::int64_t total_steps = 1;   // cosine, linear: where `final` is reached, warm-up included
  std::int64_t step_every = 1;    // step: the rate is multiplied by step_factor each so many steps after warm-up
  double step_factor = 0.1;

  // The rate of step s (from 0). Raises Error (usage) if step_every is not positive.
  double operator()(std::int64_t s) const;
};

}  // namespace trireme::optim
