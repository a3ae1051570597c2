#include "trireme/core/array/sparse_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // elements
constexpr int kDigitBits = 11;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

// Where a contribution belongs, and where it stands.
struct Place {
  std::int64_t row;
  std::int64_t position;
};

struct Scratch {
  std::vector<Place> places, other;
  std::vector<std::int64_t> firsts;  // the first place of each row, and the number of places
};

// Kept for its capacity: the steady state allocates nothing.
Scratch& scratch() {
  thread_local Scratch kept;
  return kept;
}

// By row, equal ones in the order in which they came: a radix sort from the lowest digit, of as many digits as the
// largest row has.
void sort_by_row(Scratch& s, std::int64_t largest) {
  s.other.resize(s.places.size());
  for (int shift = 0; shift < 64 && (largest >> shift) > 0; shift += kDigitBits) {
    std::array<std::size_t, kDigits> next{};
    const auto digit = [shift](const Place& place) {
      return static_cast<std::size_t>(place.row >> shift) & (kDigits - 1);
    };
    for (const Place& place : s.places) {
      ++next[digit(place)];
    }
    std::size_t begin = 0;
    for (std::size_t& count : next) {
      begin += std::exchange(count, begin);
    }
    for (const Place& place : s.places) {
      s.other[next[digit(place)]++] = place;
    }
    s.places.swap(s.other);
  }
}

void find_rows(Scratch& s, std::span<const std::int64_t> indices) {
  s.places.resize(indices.size());
  std::int64_t largest = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    require(indices[i] >= 0, "sum_duplicates: row {} given at position {}, a number from 0 expected", indices[i], i);
    largest = std::max(largest, indices[i]);
    s.places[i] = {indices[i], static_cast<std::int64_t>(i)};
  }
  sort_by_row(s, largest);
  s.firsts.clear();
  for (std::size_t i = 0; i < s.places.size(); ++i) {
    if (i == 0 || s.places[i].row != s.places[i - 1].row) {
      s.firsts.push_back(static_cast<std::int64_t>(i));
    }
  }
  s.firsts.push_back(static_cast<std::int64_t>(s.places.size()));
}

void copy_row(const float* __restrict from, float* __restrict to, std::int64_t width) {
  std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
}

void add_row(const float* __restrict from, float* __restrict to, std::int64_t width) {
  for (std::int64_t d = 0; d < width; ++d) {
    to[d] += from[d];
  }
}

std::int64_t rows_in_tile(std::int64_t width) {
  return std::max<std::int64_t>(1, kTile / std::max<std::int64_t>(1, width));
}

// How many rows two ascending lists have together.
std::int64_t count_union(std::span<const std::int64_t> a, std::span<const std::int64_t> b) {
  std::size_t i = 0, j = 0;
  std::int64_t count = 0;
  while (i < a.size() && j < b.size()) {
    const std::int64_t left = a[i], right = b[j];
    i += left <= right ? 1 : 0;
    j += right <= left ? 1 : 0;
    ++count;
  }
  return count + static_cast<std::int64_t>(a.size() - i + b.size() - j);
}

}  // namespace

SparseRows sum_duplicates(const Array& indices, const Array& values) {
  require(indices.dtype() == DType::i64 && indices.dims() == 1 && values.dtype() == DType::f32 && values.dims() == 2 &&
              values.size(0) == indices.count() && indices.is_contiguous() && values.is_contiguous(),
          "sum_duplicates: indices {} and values {} given; contiguous i64[n] and f32[n, D] expected", indices, values);
  Scratch& s = scratch();
  find_rows(s, indices.span<std::int64_t>());
  const auto count = static_cast<std::int64_t>(s.firsts.size()) - 1;
  const std::int64_t width = values.size(1);
  SparseRows out{Array::empty({count}, DType::i64), Array::empty({count, width})};
  parallel_for(count, rows_in_tile(width),
               [&s, width, from = values.data<float>(), rows = out.rows.data<std::int64_t>(),
                to = out.values.data<float>()](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const auto first = static_cast<std::size_t>(s.firsts[static_cast<std::size_t>(row)]);
                   const auto last = static_cast<std::size_t>(s.firsts[static_cast<std::size_t>(row) + 1]);
                   rows[row] = s.places[first].row;
                   copy_row(from + s.places[first].position * width, to + row * width, width);
                   for (std::size_t i = first + 1; i < last; ++i) {
                     add_row(from + s.places[i].position * width, to + row * width, width);
                   }
                 }
               });
  return out;
}

SparseRows add_rows(const SparseRows& left, const SparseRows& right) {
  if (!left.defined() || !right.defined()) {
    return left.defined() ? left : right;
  }
  const std::int64_t width = left.values.size(1);
  require(right.values.size(1) == width, "add_rows: {} and {} given, rows of one length expected", left.values,
          right.values);
  const std::span<const std::int64_t> a = left.rows.span<std::int64_t>(), b = right.rows.span<std::int64_t>();
  const std::int64_t count = count_union(a, b);
  SparseRows out{Array::empty({count}, DType::i64), Array::empty({count, width})};
  std::int64_t* rows = out.rows.data<std::int64_t>();
  const float* from_left = left.values.data<float>();
  const float* from_right = right.values.data<float>();
  float* to = out.values.data<float>();
  std::size_t i = 0, j = 0;
  for (std::int64_t row = 0; row < count; ++row, to += width) {
    const bool has_left = i < a.size() && (j == b.size() || a[i] <= b[j]);
    const bool has_right = j < b.size() && (i == a.size() || b[j] <= a[i]);
    rows[row] = has_left ? a[i] : b[j];
    copy_row(has_left ? from_left : from_right, to, width);
    if (has_left && has_right) {
      add_row(from_right, to, width);
    }
    i += has_left ? 1 : 0;
    j += has_right ? 1 : 0;
    from_left += has_left ? width : 0;
    from_right += has_right ? width : 0;
  }
  return out;
}

SparseRows rows_between(const SparseRows& all, std::int64_t begin, std::int64_t end) {
  if (!all.defined()) {
    return {};
  }
  const auto rows = all.rows.span<std::int64_t>();
  const auto first = std::lower_bound(rows.begin(), rows.end(), begin);
  const auto last = std::lower_bound(first, rows.end(), end);
  return {all.rows.narrow(0, first - rows.begin(), last - first),
          all.values.narrow(0, first - rows.begin(), last - first)};
}

}  // namespace trireme
