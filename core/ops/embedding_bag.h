// Embedding bags: rows of a table, summed or averaged over each example's list of indices.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

enum class BagMode : std::uint8_t { sum, mean };

// table [R, D], f32 or f64, or bf16, which counts as f32. indices [n] (i64 or i32) are the lists of all bags behind
// each other; offsets [B] (the same dtype) say where each begins: the first is 0, none decreases, none exceeds n.
// Result [B, D]; an empty bag is 0.
//
// Rows are added in the order of the list; a row gets its contributions to the gradient in the order of positions. A
// table that keeps rows (LeafNode) gets the touched ones only. Raises Error for an index outside of the table or
// offsets that do not fit.
Tensor embedding_bag(const Tensor& table, const Array& indices, const Array& offsets, BagMode mode);

}  // namespace trireme::ops
