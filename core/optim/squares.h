// Sums of squares of f32 numbers in f64, in one fixed order: the same bits on every instruction set, since the square
// of an f32 is exact in f64.
#pragma once

#include <cstdint>

namespace trireme::optim {

// Sum of values[i]^2. Element i goes to partial sum i mod 16; the sixteen are then added as a binary tree.
double sum_of_squares(const float* values, std::int64_t count);

// Sum of g^2, g = scale * gradient[i] + decay * value[i] in f32 as the update kernels compute it.
double sum_of_squares(float scale, const float* gradient, float decay, const float* value, std::int64_t count);

}  // namespace trireme::optim
