#include "trireme/core/nn/conv2d.h"

#include <cmath>

namespace trireme::nn {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& o)
    : options_{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  require_usage(
      in > 0 && out > 0 && kernel > 0 && o.groups > 0 && in % o.groups == 0 && out % o.groups == 0,
      "nn::Conv2d: {} inputs, {} outputs, kernel {}, {} groups given; positive numbers expected, and channels that "
      "the groups divide",
      in, out, kernel, o.groups);
  const double bound = 1 / std::sqrt(static_cast<double>(in / o.groups * kernel * kernel));
  const Init standard = Init::uniform(-bound, bound);
  weight_ = add_parameter("weight", {out, in / o.groups, kernel, kernel}, o.weight_init.value_or(standard));
  if (o.bias) {
    bias_ = add_parameter("bias", {out}, standard);
  }
}

}  // namespace trireme::nn
