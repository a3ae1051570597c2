#include "trireme/core/nn/models/resnet.h"

#include <cmath>

#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/pooling.h"
#include "trireme/core/ops/relu.h"

namespace trireme::nn {
namespace {

// He et al.'s normal values by the fan out, as torchvision.
Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  const double deviation = std::sqrt(2.0 / static_cast<double>(out * kernel * kernel));
  return Conv2d(in, out, kernel,
                {.stride = stride, .padding = kernel / 2, .bias = false, .weight_init = Init::normal(0, deviation)});
}

}  // namespace

ResidualBlock::ResidualBlock(std::int64_t in, std::int64_t out, std::int64_t stride, const BatchNormOptions& norm)
    : out_(out), stride_(stride) {
  mark_as_unit();
  conv1_ = add("conv1", convolution(in, out, 3, stride));
  bn1_ = add("bn1", BatchNorm2d(out, norm));
  conv2_ = add("conv2", convolution(out, out, 3, 1));
  bn2_ = add("bn2", BatchNorm2d(out, norm));
  if (stride != 1 || in != out) {
    downsample_ = add("downsample", Sequential(convolution(in, out, 1, stride), BatchNorm2d(out, norm)));
  }
}

Tensor ResidualBlock::forward(const Tensor& x) {
  const Tensor branch = bn2_(conv2_(ops::relu(bn1_(conv1_(x)))));
  return ops::relu(branch + (downsample_ ? (*downsample_)(x) : x));
}

ResNet::ResNet(const ResNetOptions& o) : options_(o) {
  require_usage(o.channels > 0 && o.classes > 0 && o.blocks > 0 && o.width > 0,
                "nn::ResNet: channels {}, classes {}, blocks {}, width {} given, positive numbers expected", o.channels,
                o.classes, o.blocks, o.width);
  const BatchNormOptions norm{.synchronized = o.synchronized_batch_norm};
  conv1_ = add("conv1", convolution(o.channels, o.width, 3, 1));
  bn1_ = add("bn1", BatchNorm2d(o.width, norm));
  std::int64_t in = o.width;
  for (std::int64_t stage = 0; stage < 3; ++stage) {
    const std::int64_t out = o.width << stage;
    for (std::int64_t block = 0; block < o.blocks; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      blocks_.push_back(add(fmt::format("layer{}.{}", stage + 1, block), ResidualBlock(in, out, stride, norm)));
      in = out;
    }
  }
  fc_ = add("fc", Linear(in, o.classes));
}

Tensor ResNet::forward(const Tensor& x) {
  Tensor out = ops::relu(bn1_(conv1_(x)));
  for (const Child<ResidualBlock>& block : blocks_) {
    out = block(out);
  }
  return fc_(ops::global_avg_pool2d(out));
}

}  // namespace trireme::nn
