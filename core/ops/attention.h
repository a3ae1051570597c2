// Scaled dot-product attention that never holds a T x T matrix.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// Causal self-attention of GPT-2: qkv [B, T, 3C] holds queries, keys and values side by side, each of `heads` heads of
// C / heads columns; the result is [B, T, C]. f32 or f64. Scores are scaled by 1 / sqrt(C / heads).
//
// Works on a few queries of one head at a time against all keys they may see; backward computes the weights again from
// one saved number a query (as Dao et al., "FlashAttention", 2022) and writes the gradient in the packed layout. Keeps
// qkv, the result and those numbers.
Tensor causal_self_attention(const Tensor& qkv, std::int64_t heads);

// The same for separate q [B, H, T, D], k and v [B, H, S, D] -> [B, H, T, D]; `causal` needs T = S: query t sees keys
// 0..t.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal);

}  // namespace trireme::ops
