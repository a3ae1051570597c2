// Random arrays whose collectives have exact results, so that every element can be checked on every rank without
// trusting what is measured: small whole numbers, a pure function of (rank, index).
#pragma once

#include <cstdint>

#include "trireme/comm/communicator.h"

namespace trireme::launcher {

class CheckedData {
 public:
  // Ranks below `ranks` bring values for `op`. Sums of floats are exact: in f32 below 2^21 ranks; of bf16 and f16,
  // which are combined in f32, rounded once.
  CheckedData(DType dtype, comm::ReduceOp op, int ranks) : dtype_(dtype), op_(op), ranks_(ranks) {}

  // Elements [first, first + array.count()) of what `rank` brings.
  void fill(const Array& array, int rank, std::int64_t first = 0) const;
  // How many elements of the array are not what `rank` brought at [first, ...).
  std::int64_t wrong_copies(const Array& array, int rank, std::int64_t first = 0) const;
  // How many are not the reduction of what all ranks brought at [first, ...).
  std::int64_t wrong_reductions(const Array& array, std::int64_t first = 0) const;

 private:
  DType dtype_;
  comm::ReduceOp op_;
  int ranks_;
};

}  // namespace trireme::launcher
