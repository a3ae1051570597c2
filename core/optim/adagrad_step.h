// The numbers of one Adagrad step, shared by the kernels of all instruction sets. For adagrad.cpp.
#pragma once

namespace trireme::optim {

struct AdagradStep {
  float gradient_scale, decay, learning_rate, epsilon;
};

}  // namespace trireme::optim
