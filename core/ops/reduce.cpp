#include "trireme/core/ops/reduce.h"

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/elementwise.h"
#include "trireme/core/ops/reduction.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // elements

DimSet set_of(const Array& x, std::initializer_list<int> dims) {
  DimSet set;
  for (const int dim : dims) {
    const int wrapped = x.shape().normalize(dim);
    require(!set.has(wrapped), "reduce: dim {} given twice for {}", dim, x);
    set.add(wrapped);
  }
  return set;
}

Shape without(const Shape& shape, DimSet dims) {
  Shape out;
  for (int i = 0; i < shape.dims(); ++i) {
    if (!dims.has(i)) {
      out.push_back(shape[i]);
    }
  }
  return out;
}

struct Reduced {
  Array array;  // of the shape that the caller asked for
  Shape kept;   // the same with size 1 for each reduced dim
};

Reduced apply(Reduction reduction, const Array& x, DimSet dims, bool keepdim) {
  const Array result = reduce(reduction, x, dims);
  // A view of x (nothing to reduce) must not become the result of another op.
  const Array own = result.storage().get() == x.storage().get() ? result.clone() : result;
  return {keepdim ? own : own.reshape(without(own.shape(), dims)), own.shape()};
}

Tensor sum_over(const Tensor& x, DimSet dims, bool keepdim) {
  Reduced total = apply(Reduction::sum, x.array(), dims, keepdim);
  return record("sum", std::move(total.array), {&x},
                [shape = x.shape(), kept = total.kept](const Array& gradient, Gradients& gradients) {
                  gradients.add(0, gradient.reshape(kept).broadcast_to(shape));
                });
}

Tensor mean_over(const Tensor& x, DimSet dims, bool keepdim) {
  Reduced total = apply(Reduction::sum, x.array(), dims, keepdim);
  require(total.array.count() == 0 || x.count() > 0, "mean: {} given; the mean of no elements does not exist",
          x.array());
  const double terms = total.array.count() == 0 ? 1 : static_cast<double>(x.count() / total.array.count());
  binary_in_place(BinaryOp::div, total.array, terms);
  return record("mean", std::move(total.array), {&x},
                [shape = x.shape(), kept = total.kept, terms](const Array& gradient, Gradients& gradients) {
                  gradients.add(0, binary(BinaryOp::div, gradient, terms).reshape(kept).broadcast_to(shape));
                });
}

Tensor max_over(const Tensor& x, DimSet dims, bool keepdim) {
  Reduced most = apply(Reduction::max, x.array(), dims, keepdim);
  Array result = most.array;
  return record(
      "max", std::move(result), {&x},
      [x = x.array(), most = most.array.reshape(most.kept), dims](const Array& gradient, Gradients& gradients) {
        const Array hit = binary(BinaryOp::equal, x, most, "max");
        const Array share =
            binary(BinaryOp::div, gradient.reshape(most.shape()), reduce(Reduction::sum, hit, dims), "max");
        gradients.add(0, binary(BinaryOp::mul, hit, share, "max"));
      });
}

}  // namespace

Tensor sum(const Tensor& x) { return sum_over(x, DimSet::all(x.dims()), false); }
Tensor mean(const Tensor& x) { return mean_over(x, DimSet::all(x.dims()), false); }
Tensor max(const Tensor& x) { return max_over(x, DimSet::all(x.dims()), false); }

Tensor sum(const Tensor& x, std::initializer_list<int> dims, bool keepdim) {
  return sum_over(x, set_of(x.array(), dims), keepdim);
}
Tensor mean(const Tensor& x, std::initializer_list<int> dims, bool keepdim) {
  return mean_over(x, set_of(x.array(), dims), keepdim);
}
Tensor max(const Tensor& x, std::initializer_list<int> dims, bool keepdim) {
  return max_over(x, set_of(x.array(), dims), keepdim);
}

Array argmax(const Array& x, int dim) {
  const int along = x.shape().normalize(dim);
  const Array rows = x.transpose(along, -1).contiguous();
  const std::int64_t count = rows.size(-1);
  Shape shape = rows.shape();
  shape[shape.dims() - 1] = 1;
  const Array index = Array::empty(shape, DType::i64);
  require(count > 0 || index.count() == 0, "argmax: {} given, dim {} is empty", x, dim);
  dispatch_real(x.dtype(), "argmax", [&](auto tag) {
    using T = decltype(tag);
    if (index.count() == 0) {
      return;
    }
    const T* values = rows.data<T>();
    std::int64_t* out = index.data<std::int64_t>();
    parallel_for(index.count(), 1 + kTile / count, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* row = values + i * count;
        std::int64_t best = 0;
        for (std::int64_t j = 1; j < count; ++j) {
          if (row[j] > row[best] || (row[j] != row[j] && row[best] == row[best])) {
            best = j;
          }
        }
        out[i] = best;
      }
    });
  });
  Array back = index.transpose(along, -1);
  DimSet gone;
  gone.add(along);
  return back.reshape(without(back.shape(), gone));
}

}  // namespace trireme::ops
