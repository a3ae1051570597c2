#include "trireme/core/data/clicks.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/error.h"
#include "trireme/core/base/random.h"

namespace trireme::data {
namespace {

constexpr std::uint64_t kScatter = 2'654'435'761;  // a prime: coprime to every smaller number of rows

}  // namespace

Clicks::Clicks(const ClicksOptions& options) : options_(options) {
  require_usage(
      options.count > 0 && options.categories > 0 && options.dense >= 0 && options.rows >= options.categories,
      "data::Clicks: {} items, {} rows, {} category and {} dense columns given; positive numbers and at least one "
      "row a column expected",
      options.count, options.rows, options.categories, options.dense);
  require_usage(options.exponent > 0 && options.exponent != 1,
                "data::Clicks: exponent {} given, a positive number other than 1 expected", options.exponent);
  rows_of_column_ = options.rows / options.categories;
}

// The inverse of the distribution function of the density x^-exponent on [1, rows + 1) gives a popularity rank. Popular
// rows then lie scattered over the column, as hashed ones do: ranks times a prime.
std::int64_t Clicks::draw_row(double u) const {
  const double power = 1 - options_.exponent;
  const double top = std::pow(static_cast<double>(rows_of_column_ + 1), power);
  const double x = std::pow(1 + u * (top - 1), 1 / power);
  const auto rank = std::clamp(static_cast<std::int64_t>(x) - 1, std::int64_t{0}, rows_of_column_ - 1);
  return static_cast<std::int64_t>(static_cast<unsigned __int128>(rank) * kScatter %
                                   static_cast<unsigned __int128>(rows_of_column_));
}

void Clicks::fetch(std::span<const std::int64_t> items, Batch& batch) const {
  batch.items = static_cast<std::int64_t>(items.size());
  make_room(batch.inputs, {batch.items, options_.dense}, DType::f32);
  make_room(batch.categories, {batch.items, options_.categories}, DType::i64);
  make_room(batch.labels, {batch.items}, DType::f32);
  const RandomStream draws(options_.seed, "clicks");
  const RandomStream tastes(options_.seed, "clicks: hidden model");
  const auto per_item = static_cast<std::uint64_t>(options_.dense + options_.categories + 1);
  float* dense = batch.inputs.data<float>();
  std::int64_t* categories = batch.categories.data<std::int64_t>();
  float* labels = batch.labels.data<float>();
  for (const std::int64_t item : items) {
    std::uint64_t next = static_cast<std::uint64_t>(item) * per_item;
    double score = -1;  // clicks are rarer than views
    for (std::int64_t column = 0; column < options_.dense; ++column) {
      const double value = 2 * draws.uniform(next++) - 1;
      *dense++ = static_cast<float>(value);
      score += value * (column % 2 == 0 ? 1.0 : -0.5);
    }
    for (std::int64_t column = 0; column < options_.categories; ++column) {
      const std::int64_t row = column * rows_of_column_ + draw_row(draws.uniform(next++));
      *categories++ = row;
      score += 3 * (tastes.uniform(static_cast<std::uint64_t>(row)) - 0.5);
    }
    *labels++ = draws.uniform(next) < 1 / (1 + std::exp(-score)) ? 1.0f : 0.0f;
  }
}

}  // namespace trireme::data
