#include "trireme/core/array/array.h"

#include <algorithm>
#include <cstring>

namespace trireme {
namespace {

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

// Calls f(element offset) for every index in row-major order.
template <class F>
void for_each_offset(const Shape& shape, const Shape& strides, F&& f) {
  Shape index = shape;
  for (int i = 0; i < shape.dims(); ++i) {
    index[i] = 0;
  }
  const std::int64_t count = shape.count();
  std::int64_t offset = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    f(n, offset);
    for (int i = shape.dims() - 1; i >= 0; --i) {
      offset += strides[i];
      if (++index[i] < shape[i]) {
        break;
      }
      offset -= strides[i] * shape[i];
      index[i] = 0;
    }
  }
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, BFloat16> || std::is_same_v<From, Float16>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, BFloat16> || std::is_same_v<To, Float16>) {
    return To(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <class To, class From>
void copy_elements(const Array& target, const Array& source) {
  To* to = target.data<To>();
  const From* from = source.data<From>();
  if (target.is_contiguous() && source.is_contiguous()) {
    for (std::int64_t i = 0; i < source.count(); ++i) {
      to[i] = convert<To>(from[i]);
    }
    return;
  }
  if (target.is_contiguous()) {
    for_each_offset(source.shape(), source.strides(),
                    [&](std::int64_t n, std::int64_t offset) { to[n] = convert<To>(from[offset]); });
    return;
  }
  const Array dense_source = source.contiguous();
  const From* values = dense_source.data<From>();
  for_each_offset(target.shape(), target.strides(),
                  [&](std::int64_t n, std::int64_t offset) { to[offset] = convert<To>(values[n]); });
}

Shape resolve(const Shape& wanted, std::int64_t count, const Shape& from) {
  Shape shape = wanted;
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.dims(); ++i) {
    if (shape[i] == -1) {
      require(unknown < 0, "reshape: more than one -1 in {}", to_string(wanted));
      unknown = i;
    } else {
      known *= shape[i];
    }
  }
  if (unknown >= 0) {
    require(known > 0 && count % known == 0, "reshape: {} elements of shape {} do not fit {}", count, to_string(from),
            to_string(wanted));
    shape[unknown] = count / known;
  }
  require(shape.count() == count, "reshape: shape {} has {} elements, {} asked for", to_string(from), count,
          to_string(wanted));
  return shape;
}

}  // namespace

Array Array::empty(const Shape& shape, DType dtype) {
  return over(Storage::allocate(static_cast<std::size_t>(shape.count()) * size_of(dtype)), 0, shape, dtype);
}

Array Array::zeros(const Shape& shape, DType dtype) {
  Array out = empty(shape, dtype);
  std::memset(out.data_, 0, out.bytes());
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
          values.size(), to_string(shape));
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
  require(byte_offset + out.bytes() <= storage->bytes(), "Array::over: {} at byte {} exceeds a storage of {} bytes",
          describe(out), byte_offset, storage->bytes());
  out.data_ = storage->data() + byte_offset;
  out.storage_ = std::move(storage);
  return out;
}

Array Array::deferred(const Shape& shape, DType dtype) {
  Array out;
  for (const std::int64_t size : shape) {
    require(size >= 0, "Array: negative size in shape {}", to_string(shape));
  }
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  out.count_ = shape.count();
  out.dtype_ = dtype;
  return out;
}

void Array::wrong_access(DType wanted) const {
  require(static_cast<bool>(storage_),
          "Array: {} has no values yet; a parameter gets them from initialize(seed) or strategy.prepare(model, optimizer)",
          describe(*this));
  fail("Array: {} accessed as {}; convert with to()", describe(*this), name_of(wanted));
}

Array Array::with_view(const Shape& shape, const Shape& strides, std::int64_t element_offset) const {
  Array out = *this;
  out.shape_ = shape;
  out.strides_ = strides;
  out.count_ = shape.count();
  out.data_ = data_ + element_offset * static_cast<std::int64_t>(size_of(dtype_));
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
  require(count_ == 1, "Array::item: {} given, one element expected", describe(*this));
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
  require(static_cast<int>(order.size()) == dims(), "permute: {} dims given for shape {}", order.size(), to_string(shape_));
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
  require(start >= 0 && length >= 0 && start + length <= shape_[d], "narrow: [{}, {}) of dim {} of shape {}", start,
          start + length, dim, to_string(shape_));
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
          to_string(shape_), to_string(shape));
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
  require(shape_ == source.shape_, "copy_from: {} given, {} expected", describe(source), describe(*this));
  if (count_ == 0) {
    return;
  }
  if (dtype_ == source.dtype_ && contiguous_ && source.contiguous_) {
    std::memmove(data_, source.data_, bytes());
    return;
  }
  dispatch_all(dtype_, [&](auto to) {
    dispatch_all(source.dtype_, [&](auto from) { copy_elements<decltype(to), decltype(from)>(*this, source); });
  });
}

void Array::fill(double value) const {
  dispatch_all(dtype_, [&](auto tag) {
    using T = decltype(tag);
    T* first = data<T>();
    const T converted = convert<T>(value);
    for_each_offset(shape_, strides_, [&](std::int64_t, std::int64_t offset) { first[offset] = converted; });
  });
}

std::string describe(const Array& array) { return std::string(name_of(array.dtype())) + to_string(array.shape()); }

}  // namespace trireme
