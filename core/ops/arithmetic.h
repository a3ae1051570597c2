// Elementwise arithmetic with NumPy's broadcasting, its gradients, and operators on tensors.
//
// Inputs are f32 or f64, of one dtype, with any strides; a bf16 one counts as f32. Results are dense. A broadcast
// input's gradient is summed back to its shape. Errors name the op and both shapes or dtypes.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
// NaN if either is. Where both are equal, each gets half of the gradient.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);

// With a number, which is rounded to the tensor's dtype.
Tensor add(const Tensor& a, double b);
Tensor sub(const Tensor& a, double b);
Tensor sub(double a, const Tensor& b);
Tensor mul(const Tensor& a, double b);
Tensor div(const Tensor& a, double b);
Tensor div(double a, const Tensor& b);

Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);  // gradient 0 at 0
Tensor exp(const Tensor& x);  // within 2 ulp
Tensor log(const Tensor& x);  // of 0: -infinity; of negative numbers: NaN
Tensor sqrt(const Tensor& x);
Tensor tanh(const Tensor& x);  // within 2e-7 (f32) of the true value
Tensor sigmoid(const Tensor& x);
Tensor silu(const Tensor& x);                            // x sigmoid(x)
Tensor pow(const Tensor& x, double exponent);            // of negative numbers: NaN unless the exponent is whole
Tensor clamp(const Tensor& x, double low, double high);  // gradient 1 within the bounds (included), else 0

// condition ? a : b, broadcast. The condition is any dtype; not 0 means true.
Tensor where(const Array& condition, const Tensor& a, const Tensor& b);

}  // namespace trireme::ops

namespace trireme {

inline Tensor operator+(const Tensor& a, const Tensor& b) { return ops::add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return ops::sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return ops::mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return ops::div(a, b); }
inline Tensor operator-(const Tensor& x) { return ops::neg(x); }
inline Tensor operator+(const Tensor& a, double b) { return ops::add(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return ops::add(b, a); }
inline Tensor operator-(const Tensor& a, double b) { return ops::sub(a, b); }
inline Tensor operator-(double a, const Tensor& b) { return ops::sub(a, b); }
inline Tensor operator*(const Tensor& a, double b) { return ops::mul(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return ops::mul(b, a); }
inline Tensor operator/(const Tensor& a, double b) { return ops::div(a, b); }
inline Tensor operator/(double a, const Tensor& b) { return ops::div(a, b); }

}  // namespace trireme
