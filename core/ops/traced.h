// The ops of core/ops as a MemoryTrace sees them: what each keeps for backward, its temporaries, how it gives
// gradients. Models describe their activations with them (GPT::activation_memory). An op that changes what it keeps
// changes its line here; tests/core/nn/activation_memory_test.cpp compares with what the arena gives out in real
// passes.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/memory_trace.h"

namespace trireme::ops::traced {

// x [rows, in] -> [rows, out]; keeps x.
TracedTensor linear(MemoryTrace& trace, const TracedTensor& x, std::int64_t in, std::int64_t out);
// Keeps x and two numbers a row.
TracedTensor layer_norm(MemoryTrace& trace, const TracedTensor& x, std::int64_t columns);
// Keep x (gelu), the result (relu), nothing (dropout, add).
TracedTensor gelu(MemoryTrace& trace, const TracedTensor& x);
TracedTensor relu(MemoryTrace& trace, const TracedTensor& x);
TracedTensor dropout(MemoryTrace& trace, const TracedTensor& x);
TracedTensor add(MemoryTrace& trace, const TracedTensor& a, const TracedTensor& b);
// A view.
TracedTensor reshape(MemoryTrace& trace, const TracedTensor& x);
// qkv [rows, 3C] -> [rows, C]; keeps both and one number a row and head.
TracedTensor causal_self_attention(MemoryTrace& trace, const TracedTensor& qkv, std::int64_t rows, std::int64_t heads);
// Rows of a table: rows * columns elements; keeps the indices, which are the batch's.
TracedTensor embedding(MemoryTrace& trace, std::int64_t rows, std::int64_t columns);
// The same of a table that is marked sparse: its gradient, the touched rows and their numbers, is made in backward.
TracedTensor sparse_embedding(MemoryTrace& trace, std::int64_t rows, std::int64_t columns);
// dense [items, width] and rows [items, n, width] -> [items, result]; keeps both.
TracedTensor dot_interaction(MemoryTrace& trace, const TracedTensor& dense, const TracedTensor& rows,
                             std::int64_t result);
// Joins a and b in new memory.
TracedTensor concat(MemoryTrace& trace, const TracedTensor& a, const TracedTensor& b);
// The log loss; keeps the logits.
TracedTensor binary_cross_entropy(MemoryTrace& trace, const TracedTensor& logits);
// Losses of `rows` rows. The first keeps the logits; the second the gradients of x and of the table [classes, width],
// made chunk by chunk in the forward pass.
TracedTensor cross_entropy(MemoryTrace& trace, const TracedTensor& logits, std::int64_t rows);
TracedTensor linear_cross_entropy(MemoryTrace& trace, const TracedTensor& x, std::int64_t width, std::int64_t classes);

// Images [images, channels, height, width], square kernels.
struct TracedImages {
  TracedTensor tensor = {};
  std::int64_t images = 0;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};
// Keeps x. Padding is half of the kernel, as in residual networks.
TracedImages conv2d(MemoryTrace& trace, const TracedImages& x, std::int64_t outputs, std::int64_t kernel,
                    std::int64_t stride);
// Keeps x and four numbers a channel.
TracedImages batch_norm(MemoryTrace& trace, const TracedImages& x);
TracedTensor global_avg_pool2d(MemoryTrace& trace, const TracedImages& x);

}  // namespace trireme::ops::traced
