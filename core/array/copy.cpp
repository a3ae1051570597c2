#include "trireme/core/array/copy.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/array.h"
#include "trireme/core/array/bf16_rows.h"
#include "trireme/core/array/convert.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

constexpr std::int64_t kBlock = 16;  // side of a transposed block: 16 rows of one cache line each
constexpr std::int64_t kTaskElements = 32 << 10;

// The common index space of both arrays with as few dims as their strides allow. The last two dims are the plane that
// one loop nest copies; the others are stepped through.
struct Plan {
  Shape size;
  Shape to;
  Shape from;

  Plan(const Array& target, const Array& source) {
    for (int i = 0; i < target.dims(); ++i) {
      if (target.shape()[i] != 1) {
        add(target.shape()[i], target.strides()[i], source.strides()[i]);
      }
    }
    if (size.dims() == 0) {
      add(1, 1, 1);
    }
    if (size.dims() == 1) {
      size = {1, size[0]};
      to = {0, to[0]};
      from = {0, from[0]};
    }
  }

  std::int64_t rows() const { return size[size.dims() - 2]; }
  std::int64_t columns() const { return size[size.dims() - 1]; }
  std::int64_t planes() const { return size.count() / (rows() * columns()); }

 private:
  void add(std::int64_t count, std::int64_t to_stride, std::int64_t from_stride) {
    const int last = size.dims() - 1;
    if (last >= 0 && to[last] == to_stride * count && from[last] == from_stride * count) {
      size[last] *= count;  // the dim before steps over this one exactly: one longer dim
      to[last] = to_stride;
      from[last] = from_stride;
      return;
    }
    size.push_back(count);
    to.push_back(to_stride);
    from.push_back(from_stride);
  }
};

template <class To, class From>
void copy_row(To* to, std::int64_t to_step, const From* from, std::int64_t from_step, std::int64_t count) {
  if (to_step == 1 && from_step == 1) {
    if constexpr (std::is_same_v<To, From>) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(To));
    } else if constexpr (std::is_same_v<To, BFloat16> && std::is_same_v<From, float>) {
      round_row(from, to, count);
    } else if constexpr (std::is_same_v<To, float> && std::is_same_v<From, BFloat16>) {
      widen_row(from, to, count);
    } else {
      for (std::int64_t i = 0; i < count; ++i) {
        to[i] = convert<To>(from[i]);
      }
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    to[i * to_step] = convert<To>(from[i * from_step]);
  }
}

template <class To, class From>
void copy_rows(const Plan& plan, To* to, const From* from, std::int64_t begin, std::int64_t end) {
  const int row = plan.size.dims() - 2;
  const std::int64_t to_row = plan.to[row], to_column = plan.to[row + 1];
  const std::int64_t from_row = plan.from[row], from_column = plan.from[row + 1];
  if (from_row != 1 || from_column == 1) {
    for (std::int64_t i = begin; i < end; ++i) {
      copy_row(to + i * to_row, to_column, from + i * from_row, from_column, plan.columns());
    }
    return;
  }
  for (std::int64_t i = begin; i < end; i += kBlock) {  // a transposition: blocks keep both sides in the cache
    for (std::int64_t j = 0; j < plan.columns(); j += kBlock) {
      const std::int64_t width = std::min(kBlock, plan.columns() - j);
      for (std::int64_t r = i; r < std::min(i + kBlock, end); ++r) {
        copy_row(to + r * to_row + j * to_column, to_column, from + r + j * from_column, from_column, width);
      }
    }
  }
}

template <class To, class From>
void copy_planes(const Plan& plan, To* to, const From* from) {
  const std::int64_t rows_per_task =
      std::min(plan.rows(), std::max(kBlock, kTaskElements / plan.columns() / kBlock * kBlock));
  const std::int64_t tasks_per_plane = (plan.rows() + rows_per_task - 1) / rows_per_task;
  const std::int64_t tile = std::max<std::int64_t>(1, kTaskElements / (rows_per_task * plan.columns()));
  parallel_for(plan.planes() * tasks_per_plane, tile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      std::int64_t plane = task / tasks_per_plane;
      std::int64_t to_offset = 0;
      std::int64_t from_offset = 0;
      for (int dim = plan.size.dims() - 3; dim >= 0; --dim) {
        const std::int64_t index = plane % plan.size[dim];
        plane /= plan.size[dim];
        to_offset += index * plan.to[dim];
        from_offset += index * plan.from[dim];
      }
      const std::int64_t first = task % tasks_per_plane * rows_per_task;
      copy_rows(plan, to + to_offset, from + from_offset, first, std::min(first + rows_per_task, plan.rows()));
    }
  });
}

}  // namespace

void copy_elements(const Array& target, const Array& source) {
  if (target.count() == 0) {
    return;
  }
  const bool same = target.dtype() == source.dtype();
  if (same && target.is_contiguous() && source.is_contiguous()) {
    std::memmove(target.bytes_data(), source.bytes_data(), target.bytes());
    return;
  }
  const Plan plan(target, source);
  dispatch_all(target.dtype(), [&](auto to) {
    using To = decltype(to);
    if (same) {
      copy_planes(plan, target.data<To>(), source.data<To>());
      return;
    }
    dispatch_all(source.dtype(),
                 [&](auto from) { copy_planes(plan, target.data<To>(), source.data<decltype(from)>()); });
  });
}

}  // namespace trireme
