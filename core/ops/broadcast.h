// Walking several arrays that broadcast to one dense result.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"

namespace trireme::ops {

// The result's index space with as few dims as the inputs' strides allow. The last dim is a row, in which every input
// steps by 1 or repeats one element; the dims before it are walked by offsets.
template <int K>
struct BroadcastRows {
  Shape size;
  Shape steps[K];   // elements an input moves by, per dim of `size`
  Array inputs[K];  // kept alive; dense where the original's last stride did not fit

  BroadcastRows(const Shape& shape, const Array* const (&given)[K]) {
    for (int k = 0; k < K; ++k) {
      inputs[k] = given[k]->is_contiguous() ? *given[k] : rows_dense(*given[k]);
      inputs[k] = inputs[k].broadcast_to(shape);
    }
    for (int dim = 0; dim < shape.dims(); ++dim) {
      if (shape[dim] != 1) {
        add(shape, dim);
      }
    }
    if (size.dims() == 0) {
      size.push_back(1);
      for (int k = 0; k < K; ++k) {
        steps[k].push_back(1);
      }
    }
  }

  std::int64_t columns() const { return size[size.dims() - 1]; }
  std::int64_t rows() const { return columns() == 0 ? 0 : size.count() / columns(); }
  int column_step(int k) const { return static_cast<int>(steps[k][size.dims() - 1]); }
  // The offset in elements of input k at the start of a row.
  std::int64_t offset(int k, std::int64_t row) const {
    std::int64_t offset = 0;
    for (int dim = size.dims() - 2; dim >= 0; --dim) {
      offset += row % size[dim] * steps[k][dim];
      row /= size[dim];
    }
    return offset;
  }

 private:
  // The dim that varies fastest must step by 1 or not at all.
  static Array rows_dense(const Array& x) {
    int dim = x.dims() - 1;
    while (dim > 0 && x.shape()[dim] == 1) {
      --dim;
    }
    const std::int64_t step = dim < 0 ? 1 : x.strides()[dim];
    return step == 1 || step == 0 ? x : x.contiguous();
  }

  void add(const Shape& shape, int dim) {
    const int last = size.dims() - 1;
    bool merges = last >= 0;
    for (int k = 0; merges && k < K; ++k) {
      merges = steps[k][last] == inputs[k].strides()[dim] * shape[dim];
    }
    if (merges) {
      size[last] *= shape[dim];
    } else {
      size.push_back(shape[dim]);
    }
    for (int k = 0; k < K; ++k) {
      if (merges) {
        steps[k][last] = inputs[k].strides()[dim];
      } else {
        steps[k].push_back(inputs[k].strides()[dim]);
      }
    }
  }
};

}  // namespace trireme::ops
