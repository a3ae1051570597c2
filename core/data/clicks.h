// Clicks drawn from a seed, with a power-law popularity: the recommender's data where no files are given.
#pragma once

#include <cstdint>

#include "trireme/core/data/dataset.h"

namespace trireme::data {

struct ClicksOptions {
  std::int64_t count = 1'000'000;
  std::int64_t rows = 100'000;  // of the table; each category column has its own range of rows / columns of them
  std::int64_t categories = 8;  // columns
  std::int64_t dense = 4;       // columns
  double exponent = 1.1;        // the k-th most popular row of a column is seen in proportion to k^-exponent
  std::uint64_t seed = 0;
};

// Batches: inputs f32 [items, dense], categories i64 [items, columns] with values in [0, rows), labels f32 [items] of 0
// and 1, drawn from a hidden logistic model, so that there is something to learn. Item i is a function of (options, i)
// alone.
class Clicks final : public Dataset {
 public:
  // Raises Error (usage) if a number is not positive or there are fewer rows than columns.
  explicit Clicks(const ClicksOptions& options = {});

  std::int64_t count() const override { return options_.count; }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override;
  bool in_memory() const override { return false; }  // each item is computed

 private:
  std::int64_t draw_row(double u) const;  // within a column, from a uniform number

  ClicksOptions options_;
  std::int64_t rows_of_column_;
};

}  // namespace trireme::data
