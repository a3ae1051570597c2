#include "trireme/strategies/parameter_server/server/gradient.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/accumulate.h"

namespace trireme::strategies::parameter_server {
namespace {

// Calls visit(a, b) for each row of either list, ascending; an index is -1 where that list does not have the row.
template <class Visit>
void for_each_row(std::span<const std::int64_t> first, std::span<const std::int64_t> second, const Visit& visit) {
  std::size_t a = 0, b = 0;
  while (a < first.size() || b < second.size()) {
    const bool in_first = a < first.size() && (b == second.size() || first[a] <= second[b]);
    const bool in_second = b < second.size() && (a == first.size() || second[b] <= first[a]);
    visit(in_first ? static_cast<std::int64_t>(a++) : -1, in_second ? static_cast<std::int64_t>(b++) : -1);
  }
}

Gradient united(const Gradient& left, const Gradient& right) {
  const auto first = left.rows.span<std::int64_t>();
  const auto second = right.rows.span<std::int64_t>();
  std::int64_t count = 0;
  for_each_row(first, second, [&](auto, auto) { ++count; });
  const std::int64_t rows = std::max<std::int64_t>(1, left.rows.count() + right.rows.count());
  const std::int64_t row = (left.values.count() + right.values.count()) / rows;
  Gradient sum{Array::empty({count}, DType::i64), Array::empty({count * row})};
  auto* to_row = sum.rows.data<std::int64_t>();
  auto* to = sum.values.data<float>();
  const auto* of_left = left.values.data<float>();
  const auto* of_right = right.values.data<float>();
  for_each_row(first, second, [&](std::int64_t a, std::int64_t b) {
    *to_row++ = a >= 0 ? first[static_cast<std::size_t>(a)] : second[static_cast<std::size_t>(b)];
    const float* const one = a >= 0 ? of_left + a * row : of_right + b * row;
    std::memcpy(to, one, static_cast<std::size_t>(row) * sizeof(float));
    for (std::int64_t i = 0; a >= 0 && b >= 0 && i < row; ++i) {
      to[i] += of_right[b * row + i];
    }
    to += row;
  });
  return sum;
}

}  // namespace

Gradient copy_of(const Gradient& gradient) {
  return {gradient.sparse() ? gradient.rows.clone() : Array(), gradient.values.clone()};
}

void add(Gradient& to, const Gradient& from) {
  if (to.sparse()) {
    to = united(to, from);
  } else {
    accumulate(to.values, from.values);
  }
}

}  // namespace trireme::strategies::parameter_server
