#include "trireme/core/ops/reduction.h"

#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/reduction_kernels.h"
#include "trireme/core/ops/widen.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kTile = 32 << 10;  // elements
constexpr std::int64_t kColumnBlock = 1 << 10;

// The array as [outer, count, inner], `count` being reduced.
struct Middle {
  std::int64_t outer = 1;
  std::int64_t count = 1;
  std::int64_t inner = 1;
};

void reduce_inner(Reduction reduction, const Array& x, const Array& out, std::int64_t rows, std::int64_t count) {
  const std::int64_t tile = std::max<std::int64_t>(1, kTile / count);
  dispatch_real(x.dtype(), "reduce", [&](auto tag) {
    using T = decltype(tag);
    const T* from = x.data<T>();
    T* to = out.data<T>();
    // A lone long row is cut into tiles of its own, whose sums are added in order.
    if (rows == 1 && count > kTile) {
      const std::int64_t tiles = (count + kTile - 1) / kTile;
      const Array partial = Array::empty({tiles}, DType::f64);
      double* sums = partial.data<double>();
      parallel_for(tiles, 1, [=](std::int64_t begin, std::int64_t) {
        const std::int64_t first = begin * kTile;
        sums[begin] = reduce_row(reduction, dtype_of<T>, from + first, std::min(kTile, count - first));
      });
      *to = static_cast<T>(reduce_row(reduction, DType::f64, sums, tiles));
      return;
    }
    parallel_for(rows, tile, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<T>(reduce_row(reduction, dtype_of<T>, from + i * count, count));
      }
    });
  });
}

// Chunks of rows are reduced side by side, then the chunks' results in order.
void reduce_outer(Reduction reduction, const Array& x, const Array& out, Middle m) {
  const std::int64_t chunks = (m.count + kRowChunk - 1) / kRowChunk;
  const std::int64_t blocks = (m.inner + kColumnBlock - 1) / kColumnBlock;
  const Array partial = chunks == 1 ? out : Array::empty({m.outer, chunks, m.inner}, x.dtype());
  const auto element = static_cast<std::int64_t>(size_of(x.dtype()));
  const std::byte* from = x.bytes_data();
  std::byte* to = partial.bytes_data();
  const std::int64_t work = std::min(kRowChunk, m.count) * std::min(kColumnBlock, m.inner);
  parallel_for(
      m.outer * chunks * blocks, std::max<std::int64_t>(1, kTile / work), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t column = task % blocks * kColumnBlock;
          const std::int64_t chunk = task / blocks % chunks;
          const std::int64_t outer = task / blocks / chunks;
          reduce_rows(reduction, x.dtype(), from + ((outer * m.count + chunk * kRowChunk) * m.inner + column) * element,
                      m.inner, std::min(kRowChunk, m.count - chunk * kRowChunk),
                      to + ((outer * chunks + chunk) * m.inner + column) * element,
                      std::min(kColumnBlock, m.inner - column));
        }
      });
  if (chunks > 1) {
    reduce_outer(reduction, partial, out, {m.outer, chunks, m.inner});
  }
}

// Reduces the last run of neighbouring dims of `dims` that are not yet of size 1; false if there is none.
bool reduce_last_run(Reduction reduction, Array& x, DimSet dims) {
  int last = x.dims() - 1;
  while (last >= 0 && !(dims.has(last) && x.shape()[last] != 1)) {
    --last;
  }
  if (last < 0) {
    return false;
  }
  Middle m;
  Shape shape = x.shape();
  for (int i = last + 1; i < x.dims(); ++i) {
    m.inner *= shape[i];
  }
  int dim = last;
  for (; dim >= 0 && (dims.has(dim) || shape[dim] == 1); --dim) {
    m.count *= shape[dim];
    shape[dim] = 1;
  }
  for (; dim >= 0; --dim) {
    m.outer *= shape[dim];
  }
  const Array out = Array::empty(shape, x.dtype());
  if (m.count == 0) {
    require(reduction == Reduction::sum, "max: {} given; the maximum of no elements does not exist", x);
    out.fill(0);
  } else if (out.count() > 0) {
    m.inner == 1 ? reduce_inner(reduction, x, out, m.outer, m.count) : reduce_outer(reduction, x, out, m);
  }
  x = out;
  return true;
}

}  // namespace

Array reduce(Reduction reduction, const Array& given, DimSet dims) {
  const Array x = widened(given);
  if (x.dtype() != DType::f32 && x.dtype() != DType::f64) [[unlikely]] {
    fail("reduce: {} given, f32 or f64 expected; convert with Array::to(DType::f32)", x);
  }
  Array result = x.contiguous();
  while (reduce_last_run(reduction, result, dims)) {
  }
  return result;
}

}  // namespace trireme::ops
