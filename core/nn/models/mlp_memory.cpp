#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/ops/traced.h"

namespace trireme::nn {

ActivationMemory SimpleNet::activation_memory(std::int64_t items) const {
  namespace traced = ops::traced;
  MemoryTrace trace;
  const auto logits = [&] {
    TracedTensor out = traced::linear(trace, trace.input(items * options_.inputs), options_.inputs, options_.hidden);
    out = traced::relu(trace, out);
    return traced::linear(trace, out, options_.hidden, options_.classes);
  };
  const TracedTensor loss = traced::cross_entropy(trace, logits(), items);  // the logits are gone with the statement
  trace.backward(loss);
  return trace.result();
}

}  // namespace trireme::nn
