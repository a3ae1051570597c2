#include "trireme/core/ops/view.h"

#include <algorithm>
#include <array>

#include "trireme/core/ops/elementwise.h"
#include "trireme/core/ops/widen.h"

namespace trireme::ops {
namespace {

Tensor reshaped(const char* name, const Tensor& x, const Shape& shape) {
  return record(name, x.array().reshape(shape), {&x}, [from = x.shape()](const Array& gradient, Gradients& gradients) {
    gradients.add(0, gradient.reshape(from));
  });
}

// A part of x: its gradient goes to the same part of x's, which other parts may share.
template <class Part>
Tensor part_of(const char* name, const Tensor& x, const Part& part) {
  return record(name, part(x.array()), {&x}, [part, shape = x.shape()](const Array& gradient, Gradients& gradients) {
    gradients.write(0, shape, gradient.dtype(), [&](const Array& target, bool accumulate) {
      const Array place = part(target);
      if (accumulate) {
        place.copy_from(binary(BinaryOp::add, place, gradient, "narrow"));
      } else {
        target.fill(0);
        place.copy_from(gradient);
      }
    });
  });
}

Array joined(std::span<const Tensor> tensors, int dim) {
  Shape shape = tensors[0].shape();
  DType dtype = tensors[0].dtype();
  for (const Tensor& tensor : tensors.subspan(1)) {
    const bool mixed = takes_parameter(dtype, tensor.dtype()) || takes_parameter(tensor.dtype(), dtype);
    require(tensor.dims() == shape.dims() && mixed, "concat: {} and {} given, equal dims and dtypes expected",
            tensors[0].array(), tensor.array());
    for (int i = 0; i < shape.dims(); ++i) {
      require(i == dim || tensor.shape()[i] == shape[i], "concat along dim {}: {} and {} differ in dim {}", dim,
              tensors[0].array(), tensor.array(), i);
    }
    shape[dim] += tensor.shape()[dim];
    dtype = dtype == DType::bf16 ? tensor.dtype() : dtype;
  }
  Array out = Array::empty(shape, dtype);
  std::int64_t at = 0;
  for (const Tensor& tensor : tensors) {
    out.narrow(dim, at, tensor.shape()[dim]).copy_from(tensor.array());
    at += tensor.shape()[dim];
  }
  return out;
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) { return reshaped("reshape", x, shape); }

Tensor flatten(const Tensor& x, int first_dim) {
  Shape shape;
  const int first = x.dims() == 0 ? 0 : x.shape().normalize(first_dim);
  for (int i = 0; i < first; ++i) {
    shape.push_back(x.shape()[i]);
  }
  std::int64_t rest = 1;
  for (int i = first; i < x.dims(); ++i) {
    rest *= x.shape()[i];
  }
  shape.push_back(rest);
  return reshaped("flatten", x, shape);
}

Tensor transpose(const Tensor& x, int dim_a, int dim_b) {
  return record("transpose", x.array().transpose(dim_a, dim_b), {&x},
                [dim_a, dim_b](const Array& gradient, Gradients& gradients) {
                  gradients.add(0, gradient.transpose(dim_a, dim_b));
                });
}

Tensor permute(const Tensor& x, std::initializer_list<int> order) {
  Array result = x.array().permute(std::span<const int>(order.begin(), order.size()));
  std::array<int, kMaxDims> inverse{};
  for (std::size_t i = 0; i < order.size(); ++i) {
    inverse[static_cast<std::size_t>(x.shape().normalize(order.begin()[i]))] = static_cast<int>(i);
  }
  return record("permute", std::move(result), {&x},
                [inverse, dims = order.size()](const Array& gradient, Gradients& gradients) {
                  gradients.add(0, gradient.permute(std::span<const int>(inverse.data(), dims)));
                });
}

Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  return part_of("narrow", x, [=](const Array& whole) { return whole.narrow(dim, start, length); });
}

Tensor select(const Tensor& x, int dim, std::int64_t index) {
  require(index >= 0 && index < x.size(dim), "select: index {} given for dim {} of {}", index, dim, x.array());
  return part_of("select", x, [=](const Array& whole) { return whole.select(dim, index); });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  return record(
      "broadcast_to", x.array().broadcast_to(shape), {&x},
      [from = x.shape()](const Array& gradient, Gradients& gradients) { gradients.add(0, sum_to(gradient, from)); });
}

Tensor contiguous(const Tensor& x) {
  return record("contiguous", x.array().contiguous(), {&x},
                [](const Array& gradient, Gradients& gradients) { gradients.add(0, gradient); });
}

Tensor concat(std::span<const Tensor> tensors, int dim) {
  require(!tensors.empty(), "concat: no tensor given, at least one expected");
  if (tensors.size() > kMaxInputs) {  // a node has room for kMaxInputs: join the first ones, then go on
    std::vector<Tensor> rest{concat(tensors.first(kMaxInputs), dim)};
    rest.insert(rest.end(), tensors.begin() + kMaxInputs, tensors.end());
    return concat(std::span<const Tensor>(rest), dim);
  }
  const int along = tensors[0].shape().normalize(dim);
  std::array<const Tensor*, kMaxInputs> inputs{};
  std::array<std::int64_t, kMaxInputs> lengths{};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    inputs[i] = &tensors[i];
    lengths[i] = tensors[i].dims() > along ? tensors[i].shape()[along] : 0;
  }
  return record("concat", joined(tensors, along), std::span<const Tensor* const>(inputs.data(), tensors.size()),
                [along, lengths, count = tensors.size()](const Array& gradient, Gradients& gradients) {
                  std::int64_t at = 0;
                  for (std::size_t i = 0; i < count; ++i) {
                    gradients.add(static_cast<int>(i), gradient.narrow(along, at, lengths[i]));
                    at += lengths[i];
                  }
                });
}

Tensor stack(std::span<const Tensor> tensors, int dim) {
  require(!tensors.empty(), "stack: no tensor given, at least one expected");
  const Shape& shape = tensors[0].shape();
  const int along = dim < 0 ? dim + shape.dims() + 1 : dim;
  require(along >= 0 && along <= shape.dims(), "stack: dim {} given for tensors of {} dims", dim, shape.dims());
  Shape with_dim;
  for (int i = 0; i <= shape.dims(); ++i) {
    with_dim.push_back(i == along ? 1 : shape[i < along ? i : i - 1]);
  }
  std::vector<Tensor> rows;
  rows.reserve(tensors.size());
  for (const Tensor& tensor : tensors) {
    require(tensor.shape() == shape, "stack: {} and {} given, equal shapes expected", tensors[0].array(),
            tensor.array());
    rows.push_back(reshape(tensor, with_dim));
  }
  return concat(std::span<const Tensor>(rows), along);
}

std::vector<Tensor> split(const Tensor& x, std::int64_t length, int dim) {
  require(length > 0, "split: pieces of {} given, at least 1 expected", length);
  std::vector<Tensor> pieces;
  for (std::int64_t at = 0; at < x.size(dim); at += length) {
    pieces.push_back(narrow(x, dim, at, std::min(length, x.size(dim) - at)));
  }
  return pieces;
}

}  // namespace trireme::ops
