#include "trireme/core/ops/matmul.h"

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/product.h"

namespace trireme::ops {
namespace {

// A batch of matrices as gemm reads it: dense rows, or dense columns (transposed).
struct Operand {
  Array array;
  bool transposed = false;
  std::int64_t leading = 0;

  // Where the matrix of batch element `index` begins, an index into `batch` (the broadcast batch shape).
  std::int64_t offset(std::int64_t index, const Shape& batch) const {
    const Shape& strides = array.strides();
    std::int64_t elements = 0;
    for (int dim = batch.dims() - 1; dim >= 0; --dim) {
      elements += index % batch[dim] * strides[dim];
      index /= batch[dim];
    }
    return elements;
  }
  template <class T>
  auto at(std::int64_t index, const Shape& batch) const {
    return operand<T>(array, offset(index, batch));
  }
  Operand flipped() const { return {array, !transposed, leading}; }
};

Shape batch_shape(const Shape& shape) {
  return Shape(std::span<const std::int64_t>(shape.begin(), static_cast<std::size_t>(shape.dims() - 2)));
}

Shape with_matrix(Shape batch, std::int64_t rows, std::int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

Operand make_operand(const Array& x, const Shape& batch) {
  const std::int64_t rows = x.size(-2);
  const std::int64_t columns = x.size(-1);
  const std::int64_t row_stride = x.strides().at(-2);
  const std::int64_t column_stride = x.strides().at(-1);
  const Shape wanted = with_matrix(batch, rows, columns);
  if ((column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1)) {
    return {x.broadcast_to(wanted), false, rows == 1 ? columns : row_stride};
  }
  if ((row_stride == 1 || rows == 1) && (column_stride >= rows || columns == 1)) {
    return {x.broadcast_to(wanted), true, columns == 1 ? rows : column_stride};
  }
  return {x.clone().broadcast_to(wanted), false, columns};
}

// c[i] = a[i] b[i] for every i of the batch; c is contiguous [batch, m, n] or, if `sum`, one [m, n] to which all are
// added.
void multiply(DType kind, const Operand& a, const Operand& b, const Shape& batch, const Array& c, std::int64_t k,
              bool sum, bool accumulate) {
  dispatch_product(kind, "matmul", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t m = c.size(-2);
    const std::int64_t n = c.size(-1);
    const auto one = [&](std::int64_t i) {
      gemm(GemmArgs<T>{.transpose_a = a.transposed,
                       .transpose_b = b.transposed,
                       .m = m,
                       .n = n,
                       .k = k,
                       .a = a.at<T>(i, batch),
                       .lda = a.leading,
                       .b = b.at<T>(i, batch),
                       .ldb = b.leading,
                       .c = c.data<ProductResult<T>>() + (sum ? 0 : i * m * n),
                       .ldc = n,
                       .accumulate = accumulate || (sum && i > 0)});
    };
    const std::int64_t count = batch.count();
    if (count == 1 || sum) {
      for (std::int64_t i = 0; i < count; ++i) {
        one(i);
      }
      return;
    }
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t) { one(begin); });
  });
}

// Adds a[i] b[i] of every i of the batch to the gradient of an input of shape `shape`, which may have been broadcast.
void add_gradient(Gradients& gradients, int input, DType kind, const Shape& shape, const Operand& a, const Operand& b,
                  const Shape& batch, std::int64_t k) {
  const Shape own = batch_shape(shape);
  const bool whole = own == batch;
  if (whole || own.count() == 1) {
    gradients.write(input, shape, gradient_dtype(kind), [&](const Array& target, bool accumulate) {
      if (batch.count() == 0 && !accumulate) {
        target.fill(0);
      }
      multiply(kind, a, b, batch, target, k, !whole, accumulate);
    });
    return;
  }
  if (!gradients.wants(input)) {
    return;
  }
  // Broadcast over a part of the batch: one product for each batch element, summed in order onto the element it reads.
  Array target = Array::zeros(shape, gradient_dtype(kind));
  const Array spread = target.broadcast_to(with_matrix(batch, shape.at(-2), shape.at(-1)));
  dispatch_product(kind, "matmul", [&](auto tag) {
    using T = decltype(tag);
    const Operand place{spread, false, shape.at(-1)};
    for (std::int64_t i = 0; i < batch.count(); ++i) {
      gemm(GemmArgs<T>{.transpose_a = a.transposed,
                       .transpose_b = b.transposed,
                       .m = shape.at(-2),
                       .n = shape.at(-1),
                       .k = k,
                       .a = a.at<T>(i, batch),
                       .lda = a.leading,
                       .b = b.at<T>(i, batch),
                       .ldb = b.leading,
                       .c = spread.data<ProductResult<T>>() + place.offset(i, batch),
                       .ldc = shape.at(-1),
                       .accumulate = true});
    }
  });
  gradients.add(input, std::move(target));
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  require(a.dims() >= 2 && b.dims() >= 2, "matmul: {} and {} given, two dims or more expected", a.array(), b.array());
  const std::int64_t m = a.size(-2);
  const std::int64_t k = a.size(-1);
  const std::int64_t n = b.size(-1);
  require(b.size(-2) == k && has_product(a.dtype(), b.dtype()),
          "matmul: {} and {} given; [.., M, K] and [.., K, N] of one dtype expected", a.array(), b.array());
  const DType kind = product_kind(a.dtype(), b.dtype());
  const Shape batch = broadcast_shapes(batch_shape(a.shape()), batch_shape(b.shape()), "matmul");
  const Operand left = make_operand(a.array(), batch);
  const Operand right = make_operand(b.array(), batch);
  Array out = Array::empty(with_matrix(batch, m, n), gradient_dtype(kind));
  multiply(kind, left, right, batch, out, k, false, false);
  return record("matmul", std::move(out), {&a, &b},
                [=, a_shape = a.shape(), b_shape = b.shape()](const Array& gradient, Gradients& gradients) {
                  const Operand dy = make_operand(gradient.contiguous(), batch);
                  add_gradient(gradients, 0, kind, a_shape, dy, right.flipped(), batch, n);
                  add_gradient(gradients, 1, kind, b_shape, left.flipped(), dy, batch, m);
                });
}

}  // namespace trireme::ops
