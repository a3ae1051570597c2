#include "trireme/core/ops/traced.h"

#include <algorithm>

#include "trireme/core/ops/cross_entropy.h"

namespace trireme::ops::traced {
namespace {

constexpr std::int64_t kLayerNormTile = 64;  // rows whose sums are one partial result
constexpr std::int64_t kConvTiles = 8;       // partial sums of a convolution's weight gradient

std::int64_t tiles(std::int64_t count, std::int64_t tile) {
  return std::max<std::int64_t>(1, (count + tile - 1) / tile);
}

}  // namespace

TracedTensor linear(MemoryTrace& trace, const TracedTensor& x, std::int64_t in, std::int64_t out) {
  return trace.record({.count = x.count() / in * out, .inputs = {&x}, .keeps = {&x}});
}

TracedTensor layer_norm(MemoryTrace& trace, const TracedTensor& x, std::int64_t columns) {
  const std::int64_t rows = x.count() / columns;
  return trace.record({.count = x.count(),
                       .inputs = {&x},
                       .keeps = {&x},
                       .keeps_more = {2 * rows},
                       .backward_scratch = {tiles(rows, kLayerNormTile) * 2 * columns}});
}

TracedTensor gelu(MemoryTrace& trace, const TracedTensor& x) {
  return trace.record({.count = x.count(), .inputs = {&x}, .keeps = {&x}, .delivery = Delivery::in_place});
}

TracedTensor relu(MemoryTrace& trace, const TracedTensor& x) {
  return trace.record({.count = x.count(), .inputs = {&x}, .keeps_result = true, .delivery = Delivery::in_place});
}

TracedTensor dropout(MemoryTrace& trace, const TracedTensor& x) {
  return trace.record({.count = x.count(), .inputs = {&x}, .delivery = Delivery::in_place});
}

TracedTensor add(MemoryTrace& trace, const TracedTensor& a, const TracedTensor& b) {
  return trace.record({.count = a.count(), .inputs = {&a, &b}, .delivery = Delivery::passed_on});
}

TracedTensor reshape(MemoryTrace& trace, const TracedTensor& x) {
  return trace.record({.count = x.count(), .inputs = {&x}, .is_view = true, .delivery = Delivery::passed_on});
}

TracedTensor causal_self_attention(MemoryTrace& trace, const TracedTensor& qkv, std::int64_t rows, std::int64_t heads) {
  return trace.record({.count = qkv.count() / 3,
                       .inputs = {&qkv},
                       .keeps = {&qkv},
                       .keeps_result = true,
                       .keeps_more = {rows * heads}});
}

TracedTensor embedding(MemoryTrace& trace, std::int64_t rows, std::int64_t columns) {
  return trace.record({.count = rows * columns});
}

TracedTensor sparse_embedding(MemoryTrace& trace, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kNumber = 2;  // i64
  return trace.record({.count = rows * columns, .backward_scratch = {kNumber * rows, rows * columns}});
}

TracedTensor dot_interaction(MemoryTrace& trace, const TracedTensor& dense, const TracedTensor& rows,
                             std::int64_t result) {
  return trace.record({.count = result, .inputs = {&dense, &rows}, .keeps = {&dense, &rows}});
}

TracedTensor concat(MemoryTrace& trace, const TracedTensor& a, const TracedTensor& b) {
  return trace.record({.count = a.count() + b.count(), .inputs = {&a, &b}, .delivery = Delivery::fresh});
}

TracedTensor binary_cross_entropy(MemoryTrace& trace, const TracedTensor& logits) {
  return trace.record({.count = 1,
                       .inputs = {&logits},
                       .keeps = {&logits},
                       .forward_scratch = {logits.count()},
                       .delivery = Delivery::fresh});
}

TracedTensor cross_entropy(MemoryTrace& trace, const TracedTensor& logits, std::int64_t rows) {
  return trace.record({.count = 1,
                       .inputs = {&logits},
                       .keeps = {&logits},
                       .keeps_more = {rows},
                       .forward_scratch = {rows},
                       .delivery = Delivery::over_kept});
}

TracedTensor linear_cross_entropy(MemoryTrace& trace, const TracedTensor& x, std::int64_t width, std::int64_t classes) {
  const std::int64_t rows = x.count() / width;
  const std::int64_t chunk = std::min(rows, head_chunk_rows(rows, classes, sizeof(float)));
  return trace.record({.count = 1,
                       .inputs = {&x},
                       .keeps_more = {classes * width},
                       .forward_scratch = {chunk * classes, 2 * chunk},
                       .delivery = Delivery::prepared});
}

TracedImages conv2d(MemoryTrace& trace, const TracedImages& x, std::int64_t outputs, std::int64_t kernel,
                    std::int64_t stride) {
  TracedImages out{.images = x.images, .channels = outputs};
  const std::int64_t padding = kernel / 2;
  out.height = (x.height + 2 * padding - kernel) / stride + 1;
  out.width = (x.width + 2 * padding - kernel) / stride + 1;
  const std::int64_t weights = outputs * x.channels * kernel * kernel;
  const std::int64_t partial = std::min(x.images, kConvTiles);
  out.tensor = trace.record({.count = x.images * outputs * out.height * out.width,
                             .inputs = {&x.tensor},
                             .keeps = {&x.tensor},
                             .later_scratch = {partial > 1 ? partial * weights : 0, weights},
                             .delivery = Delivery::fresh});
  return out;
}

TracedImages batch_norm(MemoryTrace& trace, const TracedImages& x) {
  TracedImages out = x;
  out.tensor = trace.record({.count = x.tensor.count(),
                             .inputs = {&x.tensor},
                             .keeps = {&x.tensor},
                             .keeps_more = {x.channels, x.channels},
                             .delivery = Delivery::fresh});
  return out;
}

TracedTensor global_avg_pool2d(MemoryTrace& trace, const TracedImages& x) {
  return trace.record({.count = x.images * x.channels, .inputs = {&x.tensor}, .delivery = Delivery::fresh});
}

}  // namespace trireme::ops::traced
