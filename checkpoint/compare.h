// Two sets of saved tensors, compared element by element in blocks: memory stays the same whatever their size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/checkpoint/saved_tensors.h"

namespace trireme::checkpoint {

// Two values a, b are the same if |a - b| <= absolute + relative * |b|, or both are NaN. Without a tolerance (both 0)
// the bits must be the same, and so must dtypes.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
  bool exact() const { return absolute == 0 && relative == 0; }
};

enum class DifferenceKind { only_in_a, only_in_b, shape, dtype, values };
std::string_view name_of(DifferenceKind kind);  // "only in a", "shape", ...

struct TensorDifference {
  std::string name;
  DifferenceKind kind = DifferenceKind::values;
  std::string a;  // dtype and shape there, "F32 [2, 3]"; empty: it is not there
  std::string b;
  std::uint64_t elements = 0;  // compared; 0 if shapes differ
  std::uint64_t different = 0;
  double max_absolute = 0;  // of |a - b| over all elements; infinite where only one is a number
  double max_relative = 0;  // of |a - b| / max(|a|, |b|)
};

struct NamedTensor {
  std::string name;  // under which it is looked for on the other side
  const SavedTensor* tensor = nullptr;
};

// Pairs tensors of equal names; a and b are sorted by name. `advance` is told how many bytes of a were compared.
// Raises Error if something cannot be read.
std::vector<TensorDifference> compare(SavedTensors& a, const std::vector<NamedTensor>& names_a, SavedTensors& b,
                                      const std::vector<NamedTensor>& names_b, const Tolerance& tolerance,
                                      const std::function<void(std::uint64_t)>& advance);

}  // namespace trireme::checkpoint
