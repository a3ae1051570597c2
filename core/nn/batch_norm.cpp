#include "trireme/core/nn/batch_norm.h"

#include "trireme/core/ops/batch_norm.h"

namespace trireme::nn {
namespace {

void move_towards(const Array& running, const Array& observed, double momentum) {
  const std::span<float> target = running.span<float>();
  const std::span<const float> source = observed.span<float>();
  for (std::size_t i = 0; i < target.size(); ++i) {
    target[i] = static_cast<float>((1 - momentum) * target[i] + momentum * source[i]);
  }
}

void observe(const NamedBuffer& buffer, Array seen) {
  if (step_context().owner == nullptr) {
    move_towards(buffer.array, seen, buffer.observation->momentum);
    return;
  }
  buffer.observation->value = std::move(seen);
  buffer.observation->fresh = true;
}

}  // namespace

BatchNorm::BatchNorm(const char* name, std::int64_t channels, const BatchNormOptions& options, int min_dims,
                     int max_dims)
    : name_(name), options_(options), min_dims_(min_dims), max_dims_(max_dims) {
  require_usage(channels > 0 && options.momentum > 0 && options.momentum <= 1,
                "nn::{}: {} channels and momentum {} given, a positive number and one in (0, 1] expected", name,
                channels, options.momentum);
  weight_ = add_parameter("weight", {channels}, Init::constant(1));
  bias_ = add_parameter("bias", {channels}, Init::constant(0));
  mean_ = add_buffer("running_mean", Array::zeros({channels}), options.momentum);
  variance_ = add_buffer("running_var", Array::full({channels}, 1), options.momentum);
  mean_.observation->synchronized = variance_.observation->synchronized = options.synchronized;
}

Tensor BatchNorm::forward(const Tensor& x) {
  if (x.dims() < min_dims_ || x.dims() > max_dims_) [[unlikely]] {
    fail("nn::{} '{}': {} given, an input of {} to {} dims expected", name_, path(), describe(x.array()), min_dims_,
         max_dims_);
  }
  ops::BatchStatistics statistics;
  const ops::BatchNormOptions options{.training = training(),
                                      .eps = options_.eps,
                                      .owner = options_.synchronized ? step_context().owner : nullptr,
                                      .name = path()};
  const Tensor out =
      ops::batch_norm(x, weight_, bias_, mean_.array, variance_.array, options, training() ? &statistics : nullptr);
  if (training() && step_context().second_run == nullptr) {
    observe(mean_, std::move(statistics.mean));
    observe(variance_, std::move(statistics.variance));
  }
  return out;
}

}  // namespace trireme::nn
