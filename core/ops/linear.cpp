#include "trireme/core/ops/linear.h"

#include "trireme/core/ops/column_sum.h"
#include "trireme/core/ops/product.h"
#include "trireme/core/ops/widen.h"

namespace trireme::ops {
namespace {

struct Sizes {
  std::int64_t rows;
  std::int64_t in;
  std::int64_t out;
  WeightLayout layout;
  DType kind;  // of the products
};

Sizes check(const Tensor& x, const Tensor& weight, const Tensor& bias, WeightLayout layout) {
  require(weight.dims() == 2 && x.dims() >= 1,
          "linear: x {} and weight {} given; x [.., in] and a weight of two dims expected", x.array(), weight.array());
  const bool out_first = layout == WeightLayout::out_in;
  const std::int64_t in = weight.size(out_first ? 1 : 0);
  const std::int64_t out = weight.size(out_first ? 0 : 1);
  require(x.size(-1) == in && has_product(x.dtype(), weight.dtype()),
          "linear: x {} given for weight {} stored as {}; {}[.., {}] expected", x.array(), weight.array(),
          out_first ? "[out, in]" : "[in, out]", name_of(weight.dtype()), in);
  const DType kind = product_kind(x.dtype(), weight.dtype());
  const DType result = gradient_dtype(kind);
  require(!bias.defined() || (bias.shape() == Shape{out} && takes_parameter(result, bias.dtype())),
          "linear: bias {} given, {}[{}] expected", bias.defined() ? bias.array() : Array(), name_of(result), out);
  return {in == 0 ? x.shape().count() : x.count() / in, in, out, layout, kind};
}

template <class T>
void forward(const Sizes& s, const Array& x, const Array& weight, const Array& bias, const Array& y) {
  using R = ProductResult<T>;
  const bool out_first = s.layout == WeightLayout::out_in;
  gemm(GemmArgs<T>{.transpose_b = out_first,
                   .m = s.rows,
                   .n = s.out,
                   .k = s.in,
                   .a = operand<T>(x),
                   .lda = s.in,
                   .b = operand<T>(weight),
                   .ldb = out_first ? s.in : s.out,
                   .c = y.data<R>(),
                   .ldc = s.out,
                   .bias = bias.defined() ? bias.data<R>() : nullptr});
}

// dx = dy W^T.
template <class T>
void backward_x(const Sizes& s, const Array& dy, const Array& weight, const Array& dx, bool accumulate) {
  const bool out_first = s.layout == WeightLayout::out_in;
  gemm(GemmArgs<T>{.transpose_b = !out_first,
                   .m = s.rows,
                   .n = s.in,
                   .k = s.out,
                   .a = operand<T>(dy),
                   .lda = s.out,
                   .b = operand<T>(weight),
                   .ldb = out_first ? s.in : s.out,
                   .c = dx.data<ProductResult<T>>(),
                   .ldc = s.in,
                   .accumulate = accumulate});
}

// dW = x^T dy for [in, out], dy^T x for [out, in].
template <class T>
void backward_weight(const Sizes& s, const Array& x, const Array& dy, const Array& dweight, bool accumulate) {
  const bool out_first = s.layout == WeightLayout::out_in;
  const std::int64_t m = out_first ? s.out : s.in;
  const std::int64_t n = out_first ? s.in : s.out;
  gemm(GemmArgs<T>{.transpose_a = true,
                   .m = m,
                   .n = n,
                   .k = s.rows,
                   .a = operand<T>(out_first ? dy : x),
                   .lda = m,
                   .b = operand<T>(out_first ? x : dy),
                   .ldb = n,
                   .c = dweight.data<ProductResult<T>>(),
                   .ldc = n,
                   .accumulate = accumulate});
}

template <class T>
void backward(const Sizes& s, const Array& x, const Array& weight, const Array& dy, Gradients& gradients) {
  gradients.write(0, x.shape(), gradient_dtype(s.kind),
                  [&](const Array& dx, bool accumulate) { backward_x<T>(s, dy, weight, dx, accumulate); });
  gradients.write(1, weight.shape(), gradient_dtype(s.kind),
                  [&](const Array& dw, bool accumulate) { backward_weight<T>(s, x, dy, dw, accumulate); });
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, WeightLayout layout) {
  const Sizes s = check(x, weight, bias, layout);
  const Array input = x.array().contiguous();
  const Array w = weight.array().contiguous();
  const Array b = bias.defined() ? widened(bias.array()).contiguous() : Array();
  Shape shape = input.shape();
  shape[shape.dims() - 1] = s.out;
  Array out = Array::empty(shape, gradient_dtype(s.kind));
  dispatch_product(s.kind, "linear", [&](auto tag) { forward<decltype(tag)>(s, input, w, b, out); });
  return record(
      "linear", std::move(out), {&x, &weight, &bias}, [s, input, w](const Array& gradient, Gradients& gradients) {
        const Array dy = gradient.contiguous();
        dispatch_product(s.kind, "linear", [&](auto tag) { backward<decltype(tag)>(s, input, w, dy, gradients); });
        gradients.write(2, {s.out}, dy.dtype(),
                        [&](const Array& db, bool accumulate) { column_sum(dy, db, accumulate); });
      });
}

}  // namespace trireme::ops
