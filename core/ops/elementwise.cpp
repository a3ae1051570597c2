#include "trireme/core/ops/elementwise.h"

#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/broadcast.h"
#include "trireme/core/ops/elementwise_kernels.h"
#include "trireme/core/ops/reduction.h"
#include "trireme/core/ops/widen.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // elements

void require_real(DType dtype, const char* name) {
  if (dtype != DType::f32 && dtype != DType::f64) [[unlikely]] {
    fail("{}: dtype {} given, f32 or f64 expected; convert with Array::to(DType::f32)", name, name_of(dtype));
  }
}

[[noreturn]] void different_dtypes(const Array& a, const Array& b, const char* name) {
  fail("{}: {} and {} given, equal dtypes expected; convert one with Array::to()", name, a, b);
}

Operand at(const Array& x, std::int64_t element, int step) {
  return {x.bytes_data() + element * static_cast<std::int64_t>(size_of(x.dtype())), step};
}

void* place(const Array& out, std::int64_t element) {
  return out.bytes_data() + element * static_cast<std::int64_t>(size_of(out.dtype()));
}

// A number as an operand of either dtype.
struct Scalar {
  Scalar(double value, DType dtype) : f64(value), f32(static_cast<float>(value)), single(dtype == DType::f32) {}
  Operand operand() const { return {single ? static_cast<const void*>(&f32) : &f64, 0}; }
  double f64;
  float f32;
  bool single;
};

// Calls f(row of the index space, first column, columns) for tiles of rows, or of one row's columns where rows are
// long.
template <int K, class F>
void for_each_tile(const BroadcastRows<K>& plan, const F& f) {
  const std::int64_t columns = plan.columns();
  const std::int64_t pieces = std::max<std::int64_t>(1, (columns + kTile - 1) / kTile);
  const std::int64_t per_tile = std::max<std::int64_t>(1, kTile / std::max<std::int64_t>(1, columns));
  parallel_for(plan.rows() * pieces, per_tile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i % pieces * kTile;
      f(i / pieces, first, std::min(kTile, columns - first));
    }
  });
}

bool same_layout(const Array& a, const Array& b) {
  return a.is_contiguous() && b.is_contiguous() && a.shape() == b.shape();
}

// One element by the scalar instructions, whose bits are those of the vector ones: what is left of a tiny op's time is
// then the tape's. False if the function is not one of the four.
template <class T>
bool binary_single(BinaryOp op, T a, T b, T& out) {
  switch (op) {
    case BinaryOp::add:
      out = a + b;
      return true;
    case BinaryOp::sub:
      out = a - b;
      return true;
    case BinaryOp::mul:
      out = a * b;
      return true;
    case BinaryOp::div:
      out = a / b;
      return true;
    default:
      return false;
  }
}

void binary_dense(BinaryOp op, const Array& a, const Array& b, const Array& out) {
  if (out.count() == 1 && out.dtype() == DType::f32 &&
      binary_single(op, *a.data<float>(), *b.data<float>(), *out.data<float>())) {
    return;
  }
  parallel_for(out.count(), kTile, [&](std::int64_t begin, std::int64_t end) {
    binary_row(op, out.dtype(), at(a, begin, 1), at(b, begin, 1), place(out, begin), end - begin);
  });
}

void binary_scalar(BinaryOp op, const Array& a, double value, const Array& out, bool value_first) {
  const Scalar scalar(value, a.dtype());
  parallel_for(out.count(), kTile, [&](std::int64_t begin, std::int64_t end) {
    const Operand x = at(a, begin, 1);
    const Operand y = scalar.operand();
    binary_row(op, out.dtype(), value_first ? y : x, value_first ? x : y, place(out, begin), end - begin);
  });
}

}  // namespace

void unary_into(UnaryOp op, const Array& x, const Array& out, Parameters parameters) {
  const Array dense = x.contiguous();
  parallel_for(out.count(), kTile, [&](std::int64_t begin, std::int64_t end) {
    unary_row(op, out.dtype(), at(dense, begin, 1).data, place(out, begin), end - begin, parameters);
  });
}

Array unary(UnaryOp op, const Array& given, Parameters parameters) {
  const Array x = widened(given);
  require_real(x.dtype(), "elementwise function");
  Array out = Array::empty(x.shape(), x.dtype());
  unary_into(op, x, out, parameters);
  return out;
}

Array unary_gradient(UnaryOp op, const Array& gradient, const Array& saved, Parameters parameters) {
  const bool in_place = gradient.is_unique() && gradient.is_contiguous();  // asked before copies are made below
  const Array g = gradient.contiguous();
  const Array s = widened(saved).contiguous();
  Array out = in_place ? g : Array::empty(g.shape(), g.dtype());
  parallel_for(out.count(), kTile, [&](std::int64_t begin, std::int64_t end) {
    unary_gradient_row(op, out.dtype(), at(g, begin, 1).data, at(s, begin, 1).data, place(out, begin), end - begin,
                       parameters);
  });
  return out;
}

Array binary(BinaryOp op, const Array& a, const Array& b, const char* name) {
  if (a.dtype() == DType::bf16 || b.dtype() == DType::bf16) [[unlikely]] {
    return binary(op, widened(a), widened(b), name);
  }
  require_real(a.dtype(), name);
  if (a.dtype() != b.dtype()) [[unlikely]] {
    different_dtypes(a, b, name);
  }
  if (same_layout(a, b)) {
    Array out = Array::empty(a.shape(), a.dtype());
    binary_dense(op, a, b, out);
    return out;
  }
  Array out = Array::empty(broadcast_shapes(a.shape(), b.shape(), name), a.dtype());
  const BroadcastRows<2> plan(out.shape(), {&a, &b});
  for_each_tile(plan, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
    const int sa = plan.column_step(0);
    const int sb = plan.column_step(1);
    binary_row(op, out.dtype(), at(plan.inputs[0], plan.offset(0, row) + first * sa, sa),
               at(plan.inputs[1], plan.offset(1, row) + first * sb, sb), place(out, row * plan.columns() + first),
               count);
  });
  return out;
}

Array ternary(TernaryOp op, const Array& a, const Array& b, const Array& c, const char* name) {
  if (a.dtype() == DType::bf16 || b.dtype() == DType::bf16 || c.dtype() == DType::bf16) [[unlikely]] {
    return ternary(op, widened(a), widened(b), widened(c), name);
  }
  require_real(a.dtype(), name);
  if (a.dtype() != b.dtype() || a.dtype() != c.dtype()) [[unlikely]] {
    different_dtypes(a, a.dtype() != b.dtype() ? b : c, name);
  }
  const Shape shape = broadcast_shapes(broadcast_shapes(a.shape(), b.shape(), name), c.shape(), name);
  Array out = Array::empty(shape, a.dtype());
  const BroadcastRows<3> plan(shape, {&a, &b, &c});
  for_each_tile(plan, [&](std::int64_t row, std::int64_t first, std::int64_t count) {
    Operand operands[3];
    for (int k = 0; k < 3; ++k) {
      const int step = plan.column_step(k);
      operands[k] = at(plan.inputs[k], plan.offset(k, row) + first * step, step);
    }
    ternary_row(op, out.dtype(), operands[0], operands[1], operands[2], place(out, row * plan.columns() + first),
                count);
  });
  return out;
}

Array binary(BinaryOp op, const Array& given, double value) {
  const Array a = widened(given);
  require_real(a.dtype(), "elementwise function");
  Array out = Array::empty(a.shape(), a.dtype());
  binary_scalar(op, a.contiguous(), value, out, false);
  return out;
}

Array binary(BinaryOp op, double value, const Array& given) {
  const Array a = widened(given);
  require_real(a.dtype(), "elementwise function");
  Array out = Array::empty(a.shape(), a.dtype());
  binary_scalar(op, a.contiguous(), value, out, true);
  return out;
}

void binary_in_place(BinaryOp op, const Array& a, double value) { binary_scalar(op, a, value, a, false); }

Array sum_to(const Array& x, const Shape& shape) {
  if (x.shape() == shape) {
    return x;
  }
  const int added = x.dims() - shape.dims();
  DimSet dims;
  for (int i = 0; i < x.dims(); ++i) {
    if (i < added || (shape[i - added] == 1 && x.shape()[i] != 1)) {
      dims.add(i);
    }
  }
  return reduce(Reduction::sum, x, dims).reshape(shape);
}

}  // namespace trireme::ops
