// Sums and maxima of arrays over any dims. No gradients here: see reduce.h.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"

namespace trireme::ops {

enum class Reduction : std::uint8_t { sum, max };

// A set of dims of one array.
class DimSet {
 public:
  static DimSet all(int dims) {
    DimSet set;
    set.bits_ = (1u << dims) - 1;
    return set;
  }
  void add(int dim) { bits_ |= 1u << dim; }
  bool has(int dim) const { return (bits_ >> dim & 1u) != 0; }

 private:
  unsigned bits_ = 0;
};

// Reduces x (f32 or f64, any strides) over `dims`, which stay with size 1. The result has storage of its own or is a
// view of x where nothing is to do. NaN wins a maximum. An empty sum is 0; an empty maximum raises Error.
//
// Order of additions: a function of the shape alone. Runs of kRun elements (or of kRowChunk rows) are added by vector
// lanes, and the runs' sums in order, so errors grow with the square root of the run, not of the whole.
Array reduce(Reduction reduction, const Array& x, DimSet dims);

}  // namespace trireme::ops
