#include "trireme/core/base/shape.h"

#include <algorithm>

namespace trireme {

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int i = shape.dims() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op) {
  const int dims = std::max(a.dims(), b.dims());
  Shape out;
  for (int i = 0; i < dims; ++i) {
    const int from_a = i - (dims - a.dims());
    const int from_b = i - (dims - b.dims());
    const std::int64_t size_a = from_a < 0 ? 1 : a[from_a];
    const std::int64_t size_b = from_b < 0 ? 1 : b[from_b];
    require(size_a == size_b || size_a == 1 || size_b == 1, "{}: shapes {} and {} do not broadcast (dim {})", op, a, b,
            i);
    out.push_back(size_a == 1 ? size_b : size_a);
  }
  return out;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.dims(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace trireme
