#include "trireme/core/ops/embedding.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/bf16_rows.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/table_rows.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kRowTile = 256;
constexpr std::int64_t kColumnTile = 256;
constexpr std::int64_t kAhead = 16;  // rows of a large table are in no cache: asked for so many before they are read

template <class Index>
void check_range(const Index* indices, std::int64_t count, std::int64_t rows) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::int64_t>(indices[i]);
    require(index >= 0 && index < rows,
            "embedding: index {} at position {} given for a table of {} rows; [0, {}) expected", index, i, rows, rows);
  }
}

template <class Index>
void gather(const Array& table, const Index* indices, std::int64_t count, const Array& out) {
  const std::size_t row_bytes = static_cast<std::size_t>(table.size(1)) * size_of(table.dtype());
  const std::byte* from = table.bytes_data();
  std::byte* to = out.bytes_data();
  parallel_for(count, kRowTile, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      __builtin_prefetch(from + static_cast<std::size_t>(indices[std::min(i + kAhead, end - 1)]) * row_bytes);
      std::memcpy(to + static_cast<std::size_t>(i) * row_bytes, from + static_cast<std::size_t>(indices[i]) * row_bytes,
                  row_bytes);
    }
  });
}

template <class Index>
void gather_widened(const Array& table, const Index* indices, std::int64_t count, const Array& out) {
  const std::int64_t columns = table.size(1);
  parallel_for(count, kRowTile, [=, from = table.data<BFloat16>(), to = out.data<float>()](auto begin, auto end) {
    for (std::int64_t i = begin; i < end; ++i) {
      widen_row(from + static_cast<std::int64_t>(indices[i]) * columns, to + i * columns, columns);
    }
  });
}

// Threads split the columns, so each element is summed by one of them in the order of the indices.
template <class T, class Index>
void scatter_add(const T* dy, const Index* indices, std::int64_t count, std::int64_t columns, T* table) {
  parallel_for(columns, kColumnTile, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < count; ++i) {
      T* __restrict row = table + static_cast<std::int64_t>(indices[i]) * columns;
      const T* __restrict gradient = dy + i * columns;
      for (std::int64_t j = begin; j < end; ++j) {
        row[j] += gradient[j];
      }
    }
  });
}

}  // namespace

Tensor embedding(const Tensor& table, const Array& indices) {
  require(table.dims() == 2, "embedding: table {} given, two dims expected", table.array());
  require(is_floating(table.dtype()), "embedding: table {} given, a floating dtype expected", table.array());
  const Array dense = indices.contiguous();
  const TableRows found = table_rows(table, dense);
  const Array& rows = found.rows;
  Shape shape = indices.shape();
  shape.push_back(table.size(1));
  const DType dtype = gradient_dtype(table.dtype());
  Array out = Array::empty(shape, dtype);
  if (dense.count() > 0) {
    dispatch_indices(found.indices, "embedding", "indices", [&](const auto* index) {
      check_range(index, dense.count(), rows.size(0));
      rows.dtype() == DType::bf16 ? gather_widened(rows, index, dense.count(), out)
                                  : gather(rows, index, dense.count(), out);
    });
  }
  return record(
      "embedding", std::move(out), {&table},
      [dense, shape = table.shape(), dtype](const Array& gradient, Gradients& gradients) {
        const Array dy = gradient.contiguous();
        if (gradients.wants_rows(0)) {
          gradients.add_rows(0, sum_duplicates(dense.flatten().to(DType::i64), dy.reshape({dense.count(), shape[1]})));
          return;
        }
        gradients.write(0, shape, dtype, [&](const Array& target, bool accumulate) {
          if (!accumulate) {
            std::memset(target.bytes_data(), 0, target.bytes());
          }
          if (dy.count() == 0) {
            return;
          }
          dispatch_real(dtype, "embedding", [&](auto tag) {
            using T = decltype(tag);
            dispatch_indices(dense, "embedding", "indices", [&](const auto* index) {
              scatter_add(dy.data<T>(), index, dense.count(), shape[1], target.data<T>());
            });
          });
        });
      });
}

}  // namespace trireme::ops
