// The loops below reduction.h.
#pragma once

#include <cstdint>

#include "trireme/core/ops/reduction.h"

namespace trireme::ops {

inline constexpr std::int64_t kRun = 8192;      // elements of a row reduced at a time
inline constexpr std::int64_t kRowChunk = 128;  // rows reduced at a time

// x[0, count) to one number. REQUIRES: count >= 1.
double reduce_row(Reduction reduction, DType dtype, const void* x, std::int64_t count);
// out[j] = the reduction over i of x[i * stride + j], for j in [0, columns) and i in [0, rows). REQUIRES: rows >= 1.
void reduce_rows(Reduction reduction, DType dtype, const void* x, std::int64_t stride, std::int64_t rows, void* out,
                 std::int64_t columns);

}  // namespace trireme::ops
