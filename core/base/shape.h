// Shape: the sizes (or strides) of an array's dims, held inline so that making one never allocates.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "trireme/core/base/error.h"

namespace trireme {

inline constexpr int kMaxDims = 6;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims) {
    require(dims.size() <= kMaxDims, "Shape: {} dims given, at most {} supported", dims.size(), kMaxDims);
    for (const std::int64_t dim : dims) {
      dims_[count_++] = dim;
    }
  }

  int dims() const { return count_; }
  std::int64_t operator[](int dim) const { return dims_[static_cast<std::size_t>(dim)]; }
  std::int64_t& operator[](int dim) { return dims_[static_cast<std::size_t>(dim)]; }
  // The size of a dim counted from the end when negative: at(-1) is the last. Raises Error out of range.
  std::int64_t at(int dim) const { return dims_[static_cast<std::size_t>(normalize(dim))]; }
  // `dim` in [0, dims()); negative counts from the end. Raises Error out of range.
  int normalize(int dim) const {
    const int wrapped = dim < 0 ? dim + count_ : dim;
    require(wrapped >= 0 && wrapped < count_, "dim {} given for an array of {} dims", dim, count_);
    return wrapped;
  }
  // The number of elements: the product of all sizes, 1 for a scalar. REQUIRES: it fits (Array checks what it is
  // given).
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int i = 0; i < count_; ++i) {
      product *= (*this)[i];
    }
    return product;
  }
  void push_back(std::int64_t dim) {
    require(count_ < kMaxDims, "Shape: more than {} dims", kMaxDims);
    dims_[count_++] = dim;
  }

  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + count_; }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.count_ != b.count_) {
      return false;
    }
    for (int i = 0; i < a.count_; ++i) {
      if (a[i] != b[i]) {
        return false;
      }
    }
    return true;
  }

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  std::uint8_t count_ = 0;
};

// Strides in elements of a dense row-major array of this shape.
Shape contiguous_strides(const Shape& shape);
// The shape of a op b under NumPy's broadcasting rules; raises Error naming `op` and both shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);
// "[2, 3, 4]"
std::string to_string(const Shape& shape);

}  // namespace trireme

// Shapes are passed to require() and fail() as they are, so that the text is only made when an error is raised.
template <>
struct fmt::formatter<trireme::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(const trireme::Shape& shape, fmt::format_context& context) const {
    return fmt::format_to(context.out(), "{}", trireme::to_string(shape));
  }
};
