#include "trireme/core/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trireme/core/base/error.h"

namespace trireme::optim {

double Schedule::operator()(std::int64_t s) const {
  if (s < warmup_steps) {
    return peak * static_cast<double>(s + 1) / static_cast<double>(warmup_steps);
  }
  if (kind == Kind::constant) {
    return peak;
  }
  const auto after_warmup = static_cast<double>(s - warmup_steps);
  if (kind == Kind::step) {
    require_usage(step_every > 0, "Schedule: step_every {} given, at least 1 expected", step_every);
    return peak * std::pow(step_factor, std::floor(after_warmup / static_cast<double>(step_every)));
  }
  if (s >= total_steps) {
    return final;
  }
  const double progress = after_warmup / static_cast<double>(total_steps - warmup_steps);
  const double left = kind == Kind::linear ? 1 - progress : 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return final + (peak - final) * left;
}

}  // namespace trireme::optim
