// Softmax cross-entropy with integer labels, alone and fused with the head's matrix product.
#pragma once

#include <cstdint>
#include <limits>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// No label has this value: every label counts.
inline constexpr std::int64_t kNoIgnoredLabel = std::numeric_limits<std::int64_t>::min();

// The mean over the N rows of -log softmax(logits)[label], a scalar; logits [N, V] f32 or f64, labels [N] i64, i32 or
// u8. Rows whose label is `ignore_index` do not count; if none counts the loss is 0 and the weight 0. The result's
// weight is the number of rows that count (Tensor::weight). A label outside [0, V) raises Error. Keeps the logits and
// one number a row; backward writes the gradient over the logits where nobody else holds them.
Tensor cross_entropy(const Tensor& logits, const Array& labels, std::int64_t ignore_index = kNoIgnoredLabel);

// cross_entropy(x W^T, labels) for x [N, C] and weight [V, C] without ever holding the logits: rows go through product,
// softmax and both gradient products in chunks of at most 64 MiB or 2 % of the logits. When gradients are wanted they
// are computed here, in the forward pass, because the logits of a chunk are there only once; backward hands them on,
// scaled.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Array& labels);

// Rows of logits that linear_cross_entropy holds at once: equal parts of at most 64 MiB or 2 % of the logits, whichever
// is more. Smaller chunks would go through the weight's gradient, which each chunk adds to, too often.
std::int64_t head_chunk_rows(std::int64_t rows, std::int64_t classes, std::size_t element_bytes);

}  // namespace trireme::ops
