#include "trireme/core/nn/linear.h"

#include <cmath>

namespace trireme::nn {

Linear::Linear(std::int64_t in, std::int64_t out, const LinearOptions& options) : layout_(options.layout) {
  require_usage(in > 0 && out > 0, "nn::Linear: {} inputs and {} outputs given, positive numbers expected", in, out);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  const Init standard = Init::uniform(-bound, bound);
  const Shape shape = layout_ == ops::WeightLayout::out_in ? Shape{out, in} : Shape{in, out};
  weight_ = add_parameter("weight", shape, options.weight_init.value_or(standard));
  if (options.bias) {
    bias_ = add_parameter("bias", {out}, options.bias_init.value_or(standard));
  }
}

}  // namespace trireme::nn
