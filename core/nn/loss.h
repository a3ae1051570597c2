// Losses under the names of the field. Each is a mean that carries its weight (Tensor::weight), by which strategies
// weigh lanes.
#pragma once

#include "trireme/core/ops/bce.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/mse.h"

namespace trireme::nn {

// See core/ops/cross_entropy.h, mse.h and bce.h for shapes.
using ops::binary_cross_entropy_with_logits;
using ops::cross_entropy;
using ops::mse_loss;

}  // namespace trireme::nn
