// Pairwise dot products of an example's vectors: how a recommender lets its features meet (Naumov et al., "Deep
// learning recommendation model for personalization and recommendation systems", 2019, section 2.2).
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// dense [B, D] and rows [B, F, D], both f32 or both f64, are N = F + 1 vectors an example, v_0 = dense. Result
// [B, D + N (N - 1) / 2]: dense itself, then v_i . v_j for i = 1 .. N - 1, j = 0 .. i - 1. Each product is summed over
// D in order, so its bits depend on nothing else. Raises Error for other shapes.
Tensor dot_interaction(const Tensor& dense, const Tensor& rows);

}  // namespace trireme::ops
