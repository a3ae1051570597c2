#include "trireme/core/array/array.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/convert.h"
#include "trireme/core/array/copy.h"

namespace trireme {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 56;  // so that bytes never overflow

bool dense(const Shape& shape, const Shape& strides) {
  std::int64_t step = 1;
  for (int i = shape.dims() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != step) {
      return false;
    }
    step *= shape[i];
  }
  return true;
}

Shape resolve(const Shape& wanted, std::int64_t count, const Shape& from) {
  Shape shape = wanted;
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.dims(); ++i) {
    if (shape[i] == -1) {
      require(unknown < 0, "reshape: more than one -1 in {}", wanted);
      unknown = i;
    } else {
      known *= shape[i];
    }
  }
  if (unknown >= 0) {
    require(known > 0 && count % known == 0, "reshape: {} elements of shape {} do not fit {}", count, from, wanted);
    shape[unknown] = count / known;
  }
  require(shape.count() == count, "reshape: shape {} has {} elements, {} asked for", from, count, wanted);
  return shape;
}

}  // namespace

Array Array::empty(const Shape& shape, DType dtype) {
  Array out = deferred(shape, dtype);
  out.storage_ = Storage::allocate(out.bytes());
  return out;
}

Array Array::zeros(const Shape& shape, DType dtype) {
  Array out = empty(shape, dtype);
  std::memset(out.bytes_data(), 0, out.bytes());
  return out;
}

Array Array::full(const Shape& shape, double value, DType dtype) {
  Array out = empty(shape, dtype);
  out.fill(value);
  return out;
}

template <class T>
Array Array::from(std::span<const T> values, const Shape& shape) {
  require(static_cast<std::int64_t>(values.size()) == shape.count(), "Array::from: {} values given for shape {}",
          values.size(), shape);
  Array out = empty(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), out.data<T>());
  return out;
}
template Array Array::from(std::span<const float>, const Shape&);
template Array Array::from(std::span<const double>, const Shape&);
template Array Array::from(std::span<const std::int64_t>, const Shape&);
template Array Array::from(std::span<const std::int32_t>, const Shape&);
template Array Array::from(std::span<const std::uint8_t>, const Shape&);

Array Array::over(StorageRef storage, std::size_t byte_offset, const Shape& shape, DType dtype) {
  Array out = deferred(shape, dtype);
  require(byte_offset <= storage->bytes() && out.bytes() <= storage->bytes() - byte_offset,
          "Array::over: {} at byte {} exceeds a storage of {} bytes", out, byte_offset, storage->bytes());
  out.offset_ = static_cast<std::int64_t>(byte_offset);
  out.storage_ = std::move(storage);
  return out;
}

Array Array::deferred(const Shape& shape, DType dtype) {
  Array out;
  out.shape_ = shape;
  out.strides_ = shape;
  std::int64_t step = 1;
  bool valid = true;
  for (int i = shape.dims() - 1; i >= 0; --i) {
    out.strides_[i] = step;
    valid &= shape[i] >= 0 && !__builtin_mul_overflow(step, shape[i], &step);
  }
  if (!valid || step > kMaxCount) [[unlikely]] {
    fail("Array: shape {} given; sizes must not be negative and their product at most {}", shape, kMaxCount);
  }
  out.count_ = step;
  out.dtype_ = dtype;
  return out;
}

void Array::wrong_access(DType wanted) const {
  require(
      static_cast<bool>(storage_),
      "Array: {} has no values yet; a parameter gets them from initialize(seed) or strategy.prepare(model, optimizer)",
      *this);
  require(dtype_ == wanted, "Array: {} accessed as {}; convert with to()", *this, name_of(wanted));
  storage_->raise_absent();
}

std::byte* Array::no_data() const {
  if (storage_) {
    storage_->raise_absent();
  }
  return nullptr;
}

Array Array::pinned() const {
  if (!storage_ || !storage_->is_place()) {
    return *this;
  }
  Array out = *this;
  if (!has_data()) {
    storage_->raise_absent();
  }
  out.storage_ = storage_->memory();
  out.offset_ = bytes_data() - out.storage_->data();
  return out;
}

Array Array::with_view(const Shape& shape, const Shape& strides, std::int64_t element_offset) const {
  Array out = *this;
  out.shape_ = shape;
  out.strides_ = strides;
  out.count_ = shape.count();
  out.offset_ += element_offset * static_cast<std::int64_t>(size_of(dtype_));
  out.contiguous_ = dense(shape, strides);
  return out;
}

template <class T>
std::vector<T> Array::to_vector() const {
  const Array converted = to(dtype_of<T>).contiguous();
  const T* first = converted.count() == 0 ? nullptr : converted.data<T>();
  return std::vector<T>(first, first + converted.count());
}
template std::vector<float> Array::to_vector() const;
template std::vector<double> Array::to_vector() const;
template std::vector<std::int64_t> Array::to_vector() const;
template std::vector<std::int32_t> Array::to_vector() const;
template std::vector<std::uint8_t> Array::to_vector() const;

double Array::item() const {
  require(count_ == 1, "Array::item: {} given, one element expected", *this);
  return dispatch_all(dtype_, [&](auto tag) { return convert<double>(*data<decltype(tag)>()); });
}

Array Array::reshape(const Shape& wanted) const {
  const Shape shape = resolve(wanted, count_, shape_);
  return contiguous().with_view(shape, contiguous_strides(shape), 0);
}

Array Array::transpose(int dim_a, int dim_b) const {
  Shape shape = shape_;
  Shape strides = strides_;
  const int a = shape_.normalize(dim_a);
  const int b = shape_.normalize(dim_b);
  std::swap(shape[a], shape[b]);
  std::swap(strides[a], strides[b]);
  return with_view(shape, strides, 0);
}

Array Array::permute(std::span<const int> order) const {
  require(static_cast<int>(order.size()) == dims(), "permute: {} dims given for shape {}", order.size(), shape_);
  Shape shape;
  Shape strides;
  unsigned seen = 0;
  for (const int dim : order) {
    const int from = shape_.normalize(dim);
    require((seen & 1u << from) == 0, "permute: dim {} given twice", dim);
    seen |= 1u << from;
    shape.push_back(shape_[from]);
    strides.push_back(strides_[from]);
  }
  return with_view(shape, strides, 0);
}

Array Array::narrow(int dim, std::int64_t start, std::int64_t length) const {
  const int d = shape_.normalize(dim);
  require(start >= 0 && length >= 0 && length <= shape_[d] && start <= shape_[d] - length,
          "narrow: {} elements from {} asked of dim {} of shape {}", length, start, dim, shape_);
  Shape shape = shape_;
  shape[d] = length;
  return with_view(shape, strides_, start * strides_[d]);
}

Array Array::select(int dim, std::int64_t index) const {
  const int d = shape_.normalize(dim);
  const Array one = narrow(d, index, 1);
  Shape shape;
  Shape strides;
  for (int i = 0; i < dims(); ++i) {
    if (i != d) {
      shape.push_back(one.shape_[i]);
      strides.push_back(one.strides_[i]);
    }
  }
  return one.with_view(shape, strides, 0);
}

Array Array::broadcast_to(const Shape& shape) const {
  require(broadcast_shapes(shape_, shape, "broadcast_to") == shape, "broadcast_to: shape {} does not broadcast to {}",
          shape_, shape);
  Shape strides = shape;
  const int added = shape.dims() - dims();
  for (int i = 0; i < shape.dims(); ++i) {
    const bool repeats = i < added || shape_[i - added] == 1;
    strides[i] = repeats ? 0 : strides_[i - added];
  }
  return with_view(shape, strides, 0);
}

Array Array::contiguous() const { return contiguous_ ? *this : clone(); }

Array Array::clone() const {
  Array out = empty(shape_, dtype_);
  out.copy_from(*this);
  return out;
}

Array Array::to(DType dtype) const {
  if (dtype == dtype_) {
    return *this;
  }
  Array out = empty(shape_, dtype);
  out.copy_from(*this);
  return out;
}

void Array::copy_from(const Array& source) const {
  require(shape_ == source.shape_, "copy_from: {} given, {} expected", source, *this);
  if (count_ != 0 && (!defined() || !source.defined())) [[unlikely]] {
    (defined() ? source : *this).wrong_access(dtype_);
  }
  copy_elements(*this, source);
}

void Array::fill(double value) const {
  dispatch_all(dtype_, [&](auto tag) {
    using T = decltype(tag);
    if (contiguous_) {
      std::fill_n(data<T>(), count_, convert<T>(value));
      return;
    }
    const Array one = empty({}, dtype_);
    *one.data<T>() = convert<T>(value);
    copy_elements(*this, one.broadcast_to(shape_));
  });
}

std::string describe(const Array& array) { return std::string(name_of(array.dtype())) + to_string(array.shape()); }

}  // namespace trireme
