// Elementwise functions of one, two and three arrays with broadcasting: what the differentiable ops are made of.
//
// No gradients here. Inputs are f32 or f64 with any strides, bf16 ones are widened to f32; results are dense. An
// element's bits depend on its operands alone. Large arrays are cut into tiles for parallel_for.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"

namespace trireme::ops {

// What a function of one array is given besides the elements: the exponent of pow, the bounds of clamp.
struct Parameters {
  double a = 0;
  double b = 0;
};

enum class UnaryOp : std::uint8_t { neg, abs, exp, log, sqrt, tanh, sigmoid, silu, relu, pow, clamp };

enum class BinaryOp : std::uint8_t {
  add,
  sub,
  mul,
  div,
  maximum,
  minimum,
  equal,       // 1 where a == b, else 0
  bce_logits,  // max(a, 0) - a b + log(1 + e^-|a|): cross-entropy of logit a and target b
  bce_slope,   // sigmoid(a) - b
};

enum class TernaryOp : std::uint8_t {
  where,     // a != 0 ? b : c
  above,     // the gradient c where a > b, half of it where they are equal, else 0
  quotient,  // -a b / c: the gradient a of b = x / c with respect to c
};

// out = f(x). `out` is dense and has the shape of x; it may be x itself.
void unary_into(UnaryOp op, const Array& x, const Array& out, Parameters parameters);
Array unary(UnaryOp op, const Array& x, Parameters parameters = {});
// The gradient of the input of f, given that of its result. `saved` is the result if saves_result(op), else the input.
// Written over `gradient` where nothing else refers to that.
Array unary_gradient(UnaryOp op, const Array& gradient, const Array& saved, Parameters parameters = {});
bool saves_result(UnaryOp op);

// f(a, b) and f(a, b, c), broadcast. `name` is for errors. Raise Error on different dtypes or shapes that do not
// broadcast.
Array binary(BinaryOp op, const Array& a, const Array& b, const char* name);
Array ternary(TernaryOp op, const Array& a, const Array& b, const Array& c, const char* name);
// f(a, value) and f(value, a); the value is rounded to a's dtype.
Array binary(BinaryOp op, const Array& a, double value);
Array binary(BinaryOp op, double value, const Array& a);
// The same, written over `a`. REQUIRES: a is contiguous.
void binary_in_place(BinaryOp op, const Array& a, double value);

// The sum of a broadcast array's elements over the dims along which an array of `shape` was repeated.
Array sum_to(const Array& x, const Shape& shape);

}  // namespace trireme::ops
