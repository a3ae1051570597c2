// The forward pass of resnet.cpp once more, with sizes: each statement here has its like there.
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/ops/traced.h"

namespace trireme::nn {
namespace {

namespace traced = ops::traced;
using traced::TracedImages;

TracedImages relu(MemoryTrace& trace, const TracedImages& x) {
  TracedImages out = x;
  out.tensor = traced::relu(trace, x.tensor);
  return out;
}

}  // namespace

TracedTensor ResidualBlock::trace_body(MemoryTrace& t, const TracedImages& x) const {
  const TracedImages branch = traced::batch_norm(
      t, traced::conv2d(t, relu(t, traced::batch_norm(t, traced::conv2d(t, x, out_, 3, stride_))), out_, 3, 1));
  const TracedTensor sum =
      downsample_ ? traced::add(t, branch.tensor, traced::batch_norm(t, traced::conv2d(t, x, out_, 1, stride_)).tensor)
                  : traced::add(t, branch.tensor, x.tensor);
  return traced::relu(t, sum);
}

TracedImages ResidualBlock::trace(MemoryTrace& t, const TracedImages& x) const {
  TracedImages out{{}, x.images, out_, (x.height - 1) / stride_ + 1, (x.width - 1) / stride_ + 1};
  out.tensor = activation_checkpointing() ? t.checkpoint([this, &t, x] { return trace_body(t, x); }) : trace_body(t, x);
  return out;
}

ActivationMemory ResNet::activation_memory(std::int64_t images, std::int64_t height, std::int64_t width) const {
  MemoryTrace trace;
  const auto logits = [&] {
    TracedImages x{trace.input(images * options_.channels * height * width), images, options_.channels, height, width};
    x = relu(trace, traced::batch_norm(trace, traced::conv2d(trace, x, options_.width, 3, 1)));
    for (const Child<ResidualBlock>& block : blocks_) {
      x = block->trace(trace, x);
    }
    return traced::linear(trace, traced::global_avg_pool2d(trace, x), x.channels, options_.classes);
  };
  const TracedTensor loss = traced::cross_entropy(trace, logits(), images);  // the logits are gone with the statement
  trace.backward(loss);
  return trace.result();
}

}  // namespace trireme::nn
