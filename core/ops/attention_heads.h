// The computation of one batch of attention heads, whatever the layout of queries, keys and values. Internal to
// core/ops.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"

namespace trireme::ops {

struct AttentionSizes {
  std::int64_t batch;
  std::int64_t heads;
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t width;  // columns of a head
  bool causal;
};

// Rows of `width` dense elements, found by batch, head and row.
struct HeadRows {
  Array array;
  std::int64_t offset = 0;  // elements, from the array's first
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
};

// out = softmax(q k^T / sqrt(width)) v; log_sums [batch, heads, queries] receives the logarithm of each row's sum of
// exponentials. Tiles of parallel_for are heads.
void attention_forward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                       const HeadRows& out, const Array& log_sums);

struct AttentionGradients {
  HeadRows q;
  HeadRows k;
  HeadRows v;
  bool accumulate;  // into q, k and v instead of writing them
};

void attention_backward(const AttentionSizes& sizes, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                        const HeadRows& out, const Array& log_sums, const HeadRows& dout,
                        const AttentionGradients& gradients);

}  // namespace trireme::ops
