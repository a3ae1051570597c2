// The residual networks for small images of He et al., "Deep residual learning for image recognition" (2016),
// section 4.2: 6 n + 2 layers, n blocks in each of three stages; ResNet-20 has n = 3. Where a stage halves the image,
// the shortcut is a 1 x 1 convolution. Parameter names are torchvision's: conv1, bn1, layer1.0.conv1, ...,
// layer2.0.downsample.0, ..., fc.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "trireme/core/autograd/memory_trace.h"
#include "trireme/core/nn/batch_norm.h"
#include "trireme/core/nn/conv2d.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"

namespace trireme::ops::traced {
struct TracedImages;
}

namespace trireme::nn {

struct ResNetOptions {
  std::int64_t channels = 3;
  std::int64_t classes = 10;
  std::int64_t blocks = 3;               // of each stage
  std::int64_t width = 16;               // channels of the first stage; each later one has twice as many
  bool synchronized_batch_norm = false;  // statistics of the global batch; see nn/batch_norm.h
};

// relu(x + branch(x)), branch = conv, batch norm, relu, conv, batch norm. A unit.
class ResidualBlock final : public Module {
 public:
  ResidualBlock(std::int64_t in, std::int64_t out, std::int64_t stride, const BatchNormOptions& norm = {});
  Tensor forward(const Tensor& x) override;
  // The same with sizes, as the block is set now (activation checkpointing).
  ops::traced::TracedImages trace(MemoryTrace& trace, const ops::traced::TracedImages& x) const;

 private:
  TracedTensor trace_body(MemoryTrace& trace, const ops::traced::TracedImages& x) const;

  std::int64_t out_, stride_;
  Child<Conv2d> conv1_, conv2_;
  Child<BatchNorm2d> bn1_, bn2_;
  std::optional<Child<Sequential>> downsample_;
};

// x [N, channels, H, W] -> logits [N, classes].
class ResNet final : public Module {
 public:
  // Raises Error (usage) if a size is not positive.
  explicit ResNet(const ResNetOptions& options = {});
  Tensor forward(const Tensor& x) override;
  // What cross_entropy(model(x), labels) and its backward keep in memory for so many images, as the model is set now
  // (activation checkpointing).
  ActivationMemory activation_memory(std::int64_t images, std::int64_t height, std::int64_t width) const;

 private:
  ResNetOptions options_;
  Child<Conv2d> conv1_;
  Child<BatchNorm2d> bn1_;
  std::vector<Child<ResidualBlock>> blocks_;
  Child<Linear> fc_;
};

}  // namespace trireme::nn
