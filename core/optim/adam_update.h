// The one pass of Adam and AdamW over a flat slice: reads value, gradient and both moments, writes value and moments,
// 28 bytes of traffic an element. For the sources of this folder.
#pragma once

#include <cstdint>

#include "trireme/core/optim/optimizer.h"

namespace trireme::optim {

// Kingma and Ba, "Adam" (2015), algorithm 1; Loshchilov and Hutter, "Decoupled weight decay regularization" (2019):
//   g = scale * gradient + l2 * value
//   m = beta1 * m + (1 - beta1) * g          v = beta2 * v + (1 - beta2) * g^2
//   value = keep * value - step_size * m / (sqrt(v) * inverse_root + epsilon)
struct AdamStep {
  float gradient_scale;
  float l2;
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float keep;          // 1 - learning rate * decoupled decay
  float step_size;     // learning rate / (1 - beta1^t)
  float inverse_root;  // 1 / sqrt(1 - beta2^t)
  float epsilon;
};

// What both optimizers compute the step from; `t` counts from 1.
struct AdamRule {
  double learning_rate, beta1, beta2, epsilon, l2, decay;
};
AdamStep adam_step(const AdamRule& rule, std::int64_t t, double gradient_scale);

// Runs the step on a slot with state {exp_avg, exp_avg_sq}.
void adam_update(const AdamStep& step, Slot& slot, const Gradient& gradient);

// Raises Error (usage) naming `optimizer` unless 0 <= beta < 1, epsilon >= 0 and decay >= 0.
void check_adam_rule(const char* optimizer, const AdamRule& rule);

}  // namespace trireme::optim
