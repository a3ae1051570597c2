// Array: a value-semantic n-dimensional view of storage. Copying shares the elements; clone() copies them.
// No gradients here: that is Tensor (core/autograd).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/array/storage.h"
#include "trireme/core/base/dtype.h"
#include "trireme/core/base/shape.h"

namespace trireme {

class Array {
 public:
  // No elements and no storage; defined() is false.
  Array() = default;

  // A dense row-major array; contents undefined.
  static Array empty(const Shape& shape, DType dtype = DType::f32);
  static Array zeros(const Shape& shape, DType dtype = DType::f32);
  static Array full(const Shape& shape, double value, DType dtype = DType::f32);
  // Copies the values (row-major). Raises Error if there are not shape.count() of them.
  template <class T>
  static Array from(std::span<const T> values, const Shape& shape);
  template <class T>
  static Array from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  // A dense array over existing storage, `byte_offset` bytes from its start.
  static Array over(StorageRef storage, std::size_t byte_offset, const Shape& shape, DType dtype);
  // A shape and dtype without storage: a parameter before its values exist.
  static Array deferred(const Shape& shape, DType dtype = DType::f32);

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }  // in elements
  int dims() const { return shape_.dims(); }
  std::int64_t size(int dim) const { return shape_.at(dim); }
  std::int64_t count() const { return count_; }  // elements
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device{}; }
  bool is_contiguous() const { return contiguous_; }
  // True if no other Array shares the storage, so that its last owner may reuse it in place.
  bool is_unique() const { return storage_ && storage_->unique() && !storage_->is_place(); }
  const StorageRef& storage() const { return storage_; }
  // True if there are elements to be read: the array is defined and its storage is no place without memory.
  bool has_data() const { return storage_ && storage_->data() != nullptr; }
  // The same elements kept for good: of an array over a place, one over the memory that the place has now. For whoever
  // works on the elements while the place may lose its memory (a collective in flight).
  Array pinned() const;

  // The first element; it is where it is until the storage, if it is a place, loses its memory. Both raise Error if the
  // storage has no memory, the typed form also if T is not the dtype or the array is not defined (untyped: null).
  std::byte* bytes_data() const {
    if (!has_data()) [[unlikely]] {
      return no_data();
    }
    return storage_->data() + offset_;
  }
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T> || !has_data()) [[unlikely]] {
      wrong_access(dtype_of<T>);
    }
    return reinterpret_cast<T*>(storage_->data() + offset_);
  }
  // All elements of a contiguous array.
  template <class T>
  std::span<T> span() const {
    require(contiguous_, "Array::span: the array of shape {} is not contiguous; call contiguous() first", shape_);
    return {data<T>(), static_cast<std::size_t>(count_)};
  }
  // The elements in row-major order, converted; for tests and small results, not for kernels.
  template <class T>
  std::vector<T> to_vector() const;
  // The only element, converted. Raises Error unless count() == 1.
  double item() const;

  // Views: no copy, storage shared. Raise Error when the view is impossible.
  Array reshape(const Shape& shape) const;  // one dim may be -1; copies if the strides do not allow a view
  Array transpose(int dim_a, int dim_b) const;
  Array permute(std::span<const int> order) const;
  Array narrow(int dim, std::int64_t start, std::int64_t length) const;
  Array select(int dim, std::int64_t index) const;  // narrow by one, dim dropped
  Array broadcast_to(const Shape& shape) const;     // strides of 0; read only by convention
  Array flatten() const { return reshape({-1}); }

  // This array if it is contiguous, else a dense copy.
  Array contiguous() const;
  // A dense copy with storage of its own.
  Array clone() const;
  // This array if it has the dtype, else a converted dense copy (round to nearest even; to integers: truncation).
  Array to(DType dtype) const;
  // Copies all elements, converting. Raises Error unless the shapes are equal.
  void copy_from(const Array& source) const;
  void fill(double value) const;

 private:
  [[noreturn]] void wrong_access(DType wanted) const;
  std::byte* no_data() const;
  Array with_view(const Shape& shape, const Shape& strides, std::int64_t element_offset) const;

  StorageRef storage_;
  std::int64_t offset_ = 0;  // of the first element from the storage's start, in bytes
  std::int64_t count_ = 0;
  DType dtype_ = DType::f32;
  bool contiguous_ = true;
  Shape shape_;
  Shape strides_;
};

// "f32[2, 3]", for messages.
std::string describe(const Array& array);

}  // namespace trireme

// Arrays are passed to require() and fail() as they are, so that the text is only made when an error is raised.
template <>
struct fmt::formatter<trireme::Array> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(const trireme::Array& array, fmt::format_context& context) const {
    return fmt::format_to(context.out(), "{}", trireme::describe(array));
  }
};
