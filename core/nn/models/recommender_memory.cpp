// The forward pass of recommender.cpp once more, with sizes: each statement here has its like there.
#include "trireme/core/nn/models/recommender.h"
#include "trireme/core/ops/traced.h"

namespace trireme::nn {
namespace {

namespace traced = ops::traced;

TracedTensor hidden(MemoryTrace& trace, const TracedTensor& x, std::int64_t in, std::int64_t out) {
  return traced::relu(trace, traced::linear(trace, x, in, out));
}

}  // namespace

ActivationMemory Recommender::activation_memory(std::int64_t items) const {
  const RecommenderOptions& o = options_;
  const std::int64_t top_inputs = inputs_of_top();
  MemoryTrace trace;
  const auto look_up = [&] {
    if (!o.own_tables) {
      return traced::sparse_embedding(trace, items * o.categories, o.dim);
    }
    TracedTensor all = traced::sparse_embedding(trace, items, o.dim);
    for (std::int64_t i = 1; i < o.categories; ++i) {
      all = traced::concat(trace, all, traced::sparse_embedding(trace, items, o.dim));
    }
    return all;
  };
  const auto top = [&](const TracedTensor& x) {
    return traced::linear(trace, hidden(trace, hidden(trace, x, top_inputs, o.top), o.top, o.top / 2), o.top / 2, 1);
  };
  const auto logits = [&] {
    const TracedTensor rows = look_up();
    const TracedTensor first =
        hidden(trace, hidden(trace, trace.input(items * o.dense), o.dense, o.bottom), o.bottom, o.dim);
    if (o.interaction == Interaction::dot) {
      return traced::reshape(trace, top(traced::dot_interaction(trace, first, rows, items * top_inputs)));
    }
    return traced::reshape(trace, top(traced::concat(trace, first, traced::reshape(trace, rows))));
  };
  const TracedTensor loss = traced::binary_cross_entropy(trace, logits());
  trace.backward(loss);
  return trace.result();
}

}  // namespace trireme::nn
