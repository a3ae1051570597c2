#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/product.h"
#include "trireme/core/ops/softmax_loss.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kChunkBytes = 64 << 20;
constexpr std::int64_t kScaleTile = 64 << 10;

// One chunk at a time: its logits, losses and, where wanted, its part of both gradients.
template <class T>
class ChunkedHead {
  using R = ProductResult<T>;

 public:
  ChunkedHead(const Array& x, const Array& weight, const Array& labels, double scale)
      : x_(x), weight_(weight), labels_(labels), scale_(scale), width_(x.size(1)), classes_(weight.size(0)) {}

  // dx and dweight may be undefined: not wanted. Returns the sum of the losses.
  double run(const Array& dx, const Array& dweight) {
    const std::int64_t rows = x_.size(0);
    const std::int64_t chunk = std::min(std::max<std::int64_t>(rows, 1), head_chunk_rows(rows, classes_, sizeof(R)));
    const Array logits = Array::empty({chunk, classes_}, dtype_of<R>);
    const Array numbers = Array::empty({2, chunk}, dtype_of<R>);
    double sum = 0;
    for (std::int64_t row = 0; row < rows; row += chunk) {
      const std::int64_t count = std::min(chunk, rows - row);
      const Array part = logits.narrow(0, 0, count);
      const Array log_sums = numbers.select(0, 0).narrow(0, 0, count);
      const Array losses = numbers.select(0, 1).narrow(0, 0, count);
      const Array labels = labels_.narrow(0, row, count);
      product(row, count, part);
      softmax_losses(part, labels, kNoIgnoredLabel, log_sums, losses);
      for (const R loss : losses.span<R>()) {
        sum += static_cast<double>(loss);
      }
      if (dx.defined() || dweight.defined()) {
        softmax_loss_gradient(part, labels, kNoIgnoredLabel, log_sums, scale_, part);
        gradients(row, count, part, dx, dweight);
      }
    }
    return sum;
  }

 private:
  void product(std::int64_t row, std::int64_t count, const Array& logits) const {
    gemm(GemmArgs<T>{.transpose_b = true,
                     .m = count,
                     .n = classes_,
                     .k = width_,
                     .a = operand<T>(x_, row * width_),
                     .lda = width_,
                     .b = operand<T>(weight_),
                     .ldb = width_,
                     .c = logits.data<R>(),
                     .ldc = classes_});
  }

  void gradients(std::int64_t row, std::int64_t count, const Array& dlogits, const Array& dx,
                 const Array& dweight) const {
    if (dx.defined()) {
      gemm(GemmArgs<T>{.m = count,
                       .n = width_,
                       .k = classes_,
                       .a = operand<T>(dlogits),
                       .lda = classes_,
                       .b = operand<T>(weight_),
                       .ldb = width_,
                       .c = dx.data<R>() + row * width_,
                       .ldc = width_});
    }
    if (dweight.defined()) {
      gemm(GemmArgs<T>{.transpose_a = true,
                       .m = classes_,
                       .n = width_,
                       .k = count,
                       .a = operand<T>(dlogits),
                       .lda = classes_,
                       .b = operand<T>(x_, row * width_),
                       .ldb = width_,
                       .c = dweight.data<R>(),
                       .ldc = width_,
                       .accumulate = row > 0});
    }
  }

  const Array& x_;
  const Array& weight_;
  const Array& labels_;
  double scale_;
  std::int64_t width_;
  std::int64_t classes_;
};

// target = array * factor, or target += array * factor. `target` may be `array`.
void write_scaled(const Array& array, double factor, const Array& target, bool accumulate) {
  dispatch_real(array.dtype(), "linear_cross_entropy", [&](auto tag) {
    using T = decltype(tag);
    const T by = static_cast<T>(factor);
    parallel_for(array.count(), kScaleTile, [=, x = array.data<T>(), y = target.data<T>()](auto begin, auto end) {
      for (std::int64_t i = begin; i < end; ++i) {
        y[i] = accumulate ? y[i] + x[i] * by : x[i] * by;
      }
    });
  });
}

void check(const Tensor& x, const Tensor& weight) {
  require(x.dims() == 2 && weight.dims() == 2 && x.size(1) == weight.size(1) && has_product(x.dtype(), weight.dtype()),
          "linear_cross_entropy: x {} and weight {} given, [N, C] and [V, C] of one dtype expected", x.array(),
          weight.array());
}

}  // namespace

std::int64_t head_chunk_rows(std::int64_t rows, std::int64_t classes, std::size_t element_bytes) {
  const std::int64_t row_bytes = std::max<std::int64_t>(1, classes * static_cast<std::int64_t>(element_bytes));
  const std::int64_t most = std::max<std::int64_t>({8, kChunkBytes / row_bytes, rows / 50});
  const std::int64_t chunks = std::max<std::int64_t>(1, (rows + most - 1) / most);
  return std::max<std::int64_t>(1, ((rows + chunks - 1) / chunks + 7) / 8 * 8);
}

Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Array& labels) {
  check(x, weight);
  const std::int64_t rows = x.size(0);
  const Array index = labels.contiguous();
  check_labels("linear_cross_entropy", index, rows, weight.size(0), kNoIgnoredLabel);
  const Array input = x.array().contiguous();
  const Array w = weight.array().contiguous();
  const DType kind = product_kind(x.dtype(), weight.dtype());
  const DType dtype = gradient_dtype(kind);
  const bool recording = step_context().recording;
  Array dx = recording && x.requires_grad() ? Array::empty(input.shape(), dtype) : Array();
  Array dweight = recording && weight.requires_grad() ? Array::empty(w.shape(), dtype) : Array();
  if (rows == 0 && dweight.defined()) {
    dweight.fill(0);
  }
  const double factor = rows == 0 ? 0.0 : 1.0 / static_cast<double>(rows);
  const double sum = dispatch_product(kind, "linear_cross_entropy", [&](auto tag) {
    return ChunkedHead<decltype(tag)>(input, w, index, factor).run(dx, dweight);
  });
  Tensor loss =
      record("linear_cross_entropy", Array::full({}, sum * factor, dtype), {&x, &weight},
             [dx = std::move(dx), dweight = std::move(dweight)](const Array& gradient, Gradients& gradients) mutable {
               const double factor = gradient.item();
               if (dx.defined()) {
                 if (factor != 1.0) {
                   write_scaled(dx, factor, dx, false);
                 }
                 gradients.add(0, std::move(dx));
               }
               if (dweight.defined()) {
                 gradients.write(1, dweight.shape(), dweight.dtype(), [&](const Array& target, bool accumulate) {
                   write_scaled(dweight, factor, target, accumulate);
                 });
               }
             });
  loss.set_weight(static_cast<double>(rows), false);
  return loss;
}

}  // namespace trireme::ops
