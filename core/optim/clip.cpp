#include "trireme/core/optim/clip.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/optim/squares.h"

namespace trireme::optim {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // elements

}  // namespace

void add_squares(ExactSum& sum, const Array& rows, std::int64_t row_length) {
  if (!rows.is_contiguous() || row_length <= 0 || rows.count() % row_length != 0) [[unlikely]] {
    fail("add_squares: {} given, contiguous f32 of whole rows of {} expected", describe(rows), row_length);
  }
  const std::int64_t count = rows.count() / row_length;
  if (count == 0) {
    return;
  }
  const float* values = rows.data<float>();
  if (row_length == 1) {  // the square of an f32 is exact in f64
    for (std::int64_t i = 0; i < count; ++i) {
      sum.add(static_cast<double>(values[i]) * values[i]);
    }
    return;
  }
  const Array squares = Array::empty({count}, DType::f64);
  double* out = squares.data<double>();
  parallel_for(count, std::max<std::int64_t>(1, kTile / row_length), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      out[row] = sum_of_squares(values + row * row_length, row_length);
    }
  });
  for (std::int64_t row = 0; row < count; ++row) {
    sum.add(out[row]);
  }
}

}  // namespace trireme::optim
