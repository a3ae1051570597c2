#include "trireme/core/ops/cross_entropy.h"

#include "trireme/core/ops/softmax_loss.h"

namespace trireme::ops {
namespace {

// The sum in f64, in order: a mean over millions of rows keeps all digits of f32.
double total(const Array& losses) {
  return dispatch_real(losses.dtype(), "cross_entropy", [&](auto tag) {
    double sum = 0;
    for (const auto loss : losses.span<decltype(tag)>()) {
      sum += static_cast<double>(loss);
    }
    return sum;
  });
}

double mean_factor(std::int64_t kept) { return kept == 0 ? 0.0 : 1.0 / static_cast<double>(kept); }

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Array& labels, std::int64_t ignore_index) {
  require(logits.dims() == 2, "cross_entropy: logits {} given, [N, V] expected", logits.array());
  const std::int64_t rows = logits.size(0);
  const Array index = labels.contiguous();
  const std::int64_t kept = check_labels("cross_entropy", index, rows, logits.size(1), ignore_index);
  Array x = logits.array().contiguous();
  const Array log_sums = Array::empty({rows}, x.dtype());
  const Array losses = Array::empty({rows}, x.dtype());
  softmax_losses(x, index, ignore_index, log_sums, losses);
  Array mean = Array::full({}, total(losses) * mean_factor(kept), x.dtype());
  Tensor loss =
      record("cross_entropy", std::move(mean), {&logits},
             [x = std::move(x), index, log_sums, ignore_index, kept](const Array& gradient, Gradients& gradients) {
               const Array dx = x.is_unique() ? x : Array::empty(x.shape(), x.dtype());
               const double scale = gradient.item() * mean_factor(kept);
               softmax_loss_gradient(x, index, ignore_index, log_sums, scale, dx);
               gradients.add(0, dx);
             });
  loss.set_weight(static_cast<double>(kept), ignore_index != kNoIgnoredLabel);
  return loss;
}

}  // namespace trireme::ops
