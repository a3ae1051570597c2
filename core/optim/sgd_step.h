// The numbers of one SGD step, shared by the kernels of all instruction sets. For sgd.cpp.
#pragma once

namespace trireme::optim {

struct SgdStep {
  float gradient_scale, decay, learning_rate, momentum;
  bool nesterov;
};

}  // namespace trireme::optim
