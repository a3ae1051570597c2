// Distorted digits drawn from a seed: the classifier's data where no files are given.
#pragma once

#include <cstdint>

#include "trireme/core/data/images.h"

namespace trireme::data {

struct DigitsOptions {
  std::int64_t count = 10'000;
  std::uint64_t seed = 0;
  bool test = false;    // other digits than the training ones of the same seed
  bool flatten = true;  // inputs [items, 784], else [items, 1, 28, 28]
};

// 28 x 28 images of strokes that are turned, slanted, scaled, shifted, bent, of varying width and with specks; labels 0
// to 9 in turn. Image i is a function of (seed, test, i) alone. Drawn at once, on the threads of parallel_for.
class Digits final : public Images {
 public:
  explicit Digits(const DigitsOptions& options = {});
};

}  // namespace trireme::data
