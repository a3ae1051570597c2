// The forward pass of gpt.cpp once more, with sizes: each statement here has its like there.
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/ops/traced.h"

namespace trireme::nn {
namespace {

namespace traced = ops::traced;

TracedTensor dropped(MemoryTrace& trace, const TracedTensor& x, bool active) {
  return active ? traced::dropout(trace, x) : x;
}

}  // namespace

TracedTensor GPTBlock::trace_body(MemoryTrace& t, const TracedTensor& x, std::int64_t rows) const {
  const std::int64_t c = width_;
  const bool drops = training() && dropout_ > 0;
  const TracedTensor attended =
      traced::causal_self_attention(t, traced::linear(t, traced::layer_norm(t, x, c), c, 3 * c), rows, heads_);
  const TracedTensor middle = traced::add(t, x, dropped(t, traced::linear(t, attended, c, c), drops));
  return traced::add(
      t, middle,
      dropped(
          t,
          traced::linear(t, traced::gelu(t, traced::linear(t, traced::layer_norm(t, middle, c), c, 4 * c)), 4 * c, c),
          drops));
}

TracedTensor GPTBlock::trace(MemoryTrace& t, const TracedTensor& x, std::int64_t rows) const {
  return activation_checkpointing() ? t.checkpoint([this, &t, x, rows] { return trace_body(t, x, rows); })
                                    : trace_body(t, x, rows);
}

ActivationMemory GPT::activation_memory(std::int64_t sequences, std::int64_t length) const {
  MemoryTrace trace;
  const std::int64_t rows = sequences * length;
  TracedTensor loss;
  {
    TracedTensor normalized;
    {
      TracedTensor x = dropped(trace, traced::add(trace, traced::embedding(trace, rows, options_.width), {}),
                               training() && options_.dropout > 0);
      for (const Child<GPTBlock>& block : blocks_) {
        x = block->trace(trace, x, rows);
      }
      normalized = traced::layer_norm(trace, x, options_.width);
    }
    loss = traced::linear_cross_entropy(trace, traced::reshape(trace, normalized), options_.width, options_.vocab);
  }
  trace.backward(std::move(loss));
  return trace.result();
}

}  // namespace trireme::nn
