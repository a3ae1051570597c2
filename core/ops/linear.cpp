#include "trireme/core/ops/linear.h"

#include "trireme/core/ops/column_sum.h"
#include "trireme/core/ops/gemm.h"

namespace trireme::ops {
namespace {

struct Sizes {
  std::int64_t rows;
  std::int64_t in;
  std::int64_t out;
  WeightLayout layout;
};

Sizes check(const Tensor& x, const Tensor& weight, const Tensor& bias, WeightLayout layout) {
  require(weight.dims() == 2 && x.dims() >= 1,
          "linear: x {} and weight {} given; x [.., in] and a weight of two dims expected", x.array(), weight.array());
  const bool out_first = layout == WeightLayout::out_in;
  const std::int64_t in = weight.size(out_first ? 1 : 0);
  const std::int64_t out = weight.size(out_first ? 0 : 1);
  require(x.size(-1) == in && x.dtype() == weight.dtype(),
          "linear: x {} given for weight {} stored as {}; {}[.., {}] expected", x.array(), weight.array(),
          out_first ? "[out, in]" : "[in, out]", name_of(weight.dtype()), in);
  require(!bias.defined() || (bias.shape() == Shape{out} && bias.dtype() == x.dtype()),
          "linear: bias {} given, {}[{}] expected", bias.defined() ? bias.array() : Array(), name_of(x.dtype()), out);
  return {in == 0 ? x.shape().count() : x.count() / in, in, out, layout};
}

template <class T>
void forward(const Sizes& s, const Array& x, const Array& weight, const T* bias, const Array& y) {
  const bool out_first = s.layout == WeightLayout::out_in;
  gemm(GemmArgs<T>{.transpose_b = out_first,
                   .m = s.rows,
                   .n = s.out,
                   .k = s.in,
                   .a = x.data<T>(),
                   .lda = s.in,
                   .b = weight.data<T>(),
                   .ldb = out_first ? s.in : s.out,
                   .c = y.data<T>(),
                   .ldc = s.out,
                   .bias = bias});
}

// dx = dy W^T.
template <class T>
void backward_x(const Sizes& s, const Array& dy, const Array& weight, const Array& dx, bool accumulate) {
  const bool out_first = s.layout == WeightLayout::out_in;
  gemm(GemmArgs<T>{.transpose_b = !out_first,
                   .m = s.rows,
                   .n = s.in,
                   .k = s.out,
                   .a = dy.data<T>(),
                   .lda = s.out,
                   .b = weight.data<T>(),
                   .ldb = out_first ? s.in : s.out,
                   .c = dx.data<T>(),
                   .ldc = s.in,
                   .accumulate = accumulate});
}

// dW = x^T dy for [in, out], dy^T x for [out, in].
template <class T>
void backward_weight(const Sizes& s, const Array& x, const Array& dy, const Array& dweight, bool accumulate) {
  const bool out_first = s.layout == WeightLayout::out_in;
  const T* rows = (out_first ? dy : x).data<T>();
  const T* columns = (out_first ? x : dy).data<T>();
  const std::int64_t m = out_first ? s.out : s.in;
  const std::int64_t n = out_first ? s.in : s.out;
  gemm(GemmArgs<T>{.transpose_a = true,
                   .m = m,
                   .n = n,
                   .k = s.rows,
                   .a = rows,
                   .lda = m,
                   .b = columns,
                   .ldb = n,
                   .c = dweight.data<T>(),
                   .ldc = n,
                   .accumulate = accumulate});
}

template <class T>
void backward(const Sizes& s, const Array& x, const Array& weight, const Array& dy, Gradients& gradients) {
  gradients.write(0, x.shape(), x.dtype(),
                  [&](const Array& dx, bool accumulate) { backward_x<T>(s, dy, weight, dx, accumulate); });
  gradients.write(1, weight.shape(), weight.dtype(),
                  [&](const Array& dw, bool accumulate) { backward_weight<T>(s, x, dy, dw, accumulate); });
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, WeightLayout layout) {
  const Sizes s = check(x, weight, bias, layout);
  const Array input = x.array().contiguous();
  const Array w = weight.array().contiguous();
  const Array b = bias.defined() ? bias.array().contiguous() : Array();
  Shape shape = input.shape();
  shape[shape.dims() - 1] = s.out;
  Array out = Array::empty(shape, input.dtype());
  dispatch_real(input.dtype(), "linear", [&](auto tag) {
    using T = decltype(tag);
    forward<T>(s, input, w, b.defined() ? b.data<T>() : nullptr, out);
  });
  return record(
      "linear", std::move(out), {&x, &weight, &bias}, [s, input, w](const Array& gradient, Gradients& gradients) {
        const Array dy = gradient.contiguous();
        dispatch_real(dy.dtype(), "linear", [&](auto tag) { backward<decltype(tag)>(s, input, w, dy, gradients); });
        gradients.write(2, {s.out}, dy.dtype(),
                        [&](const Array& db, bool accumulate) { column_sum(dy, db, accumulate); });
      });
}

}  // namespace trireme::ops
