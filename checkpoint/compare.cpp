#include "trireme/checkpoint/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "trireme/core/array/convert.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

constexpr std::uint64_t kCompareElements = std::uint64_t{1} << 19;

using Bytes = std::vector<std::byte>;

std::string describe(const SavedTensor& tensor) {
  return fmt::format("{} [{}]", tensor.dtype_name, fmt::join(tensor.shape, ", "));
}

// One block of both sides.
struct Pair {
  std::span<const std::byte> a;
  std::span<const std::byte> b;
};

void note(TensorDifference& difference, double a, double b) {
  const double gap = std::abs(a - b);
  if (std::isnan(gap)) {  // inf - inf of one sign never comes here: its bits are the same
    const bool both_nan = std::isnan(a) && std::isnan(b);
    const double value = both_nan ? 0 : std::numeric_limits<double>::infinity();
    difference.max_absolute = std::max(difference.max_absolute, value);
    difference.max_relative = std::max(difference.max_relative, value);
    return;
  }
  difference.max_absolute = std::max(difference.max_absolute, gap);
  const double scale = std::max(std::abs(a), std::abs(b));
  difference.max_relative = std::max(difference.max_relative, scale > 0 ? gap / scale : 0.0);
}

bool within(double a, double b, const Tolerance& tolerance) {
  return a == b || (std::isnan(a) && std::isnan(b)) ||
         std::abs(a - b) <= tolerance.absolute + tolerance.relative * std::abs(b);
}

template <class A, class B>
void compare_block(Pair block, const Tolerance& tolerance, TensorDifference& difference) {
  const std::size_t count = block.a.size() / sizeof(A);
  for (std::size_t i = 0; i < count; ++i) {
    A a;
    B b;
    std::memcpy(&a, block.a.data() + i * sizeof(A), sizeof(A));
    std::memcpy(&b, block.b.data() + i * sizeof(B), sizeof(B));
    if (std::is_same_v<A, B> && std::memcmp(&a, &b, sizeof(A)) == 0) {
      continue;
    }
    const auto x = convert<double>(a);
    const auto y = convert<double>(b);
    // In other dtypes equal values are equal; in one dtype only equal bits are.
    const bool same = tolerance.exact() ? !std::is_same_v<A, B> && x == y : within(x, y, tolerance);
    if (!same) {
      ++difference.different;
      note(difference, x, y);
    }
  }
}

void compare_values(Pair block, DType a, DType b, const Tolerance& tolerance, TensorDifference& difference) {
  if (a == b && std::memcmp(block.a.data(), block.b.data(), block.a.size()) == 0) {
    return;
  }
  // A byte of a file need not be a valid bool.
  const auto plain = [](DType dtype) { return dtype == DType::boolean ? DType::u8 : dtype; };
  dispatch_all(plain(a), [&](auto left) {
    dispatch_all(plain(b),
                 [&](auto right) { compare_block<decltype(left), decltype(right)>(block, tolerance, difference); });
  });
}

// Of a type that Arrays do not have only the bits can be compared.
void compare_bits(Pair block, std::uint64_t element, TensorDifference& difference) {
  for (std::size_t at = 0; at < block.a.size(); at += element) {
    if (std::memcmp(block.a.data() + at, block.b.data() + at, element) != 0) {
      ++difference.different;
      difference.max_absolute = difference.max_relative = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

class Comparer {
 public:
  Comparer(SavedTensors& a, SavedTensors& b, const Tolerance& tolerance,
           const std::function<void(std::uint64_t)>& advance)
      : a_(a), b_(b), tolerance_(tolerance), advance_(advance) {}

  // Appends to `out` if there is a difference.
  void compare(const std::string& name, const SavedTensor& a, const SavedTensor& b,
               std::vector<TensorDifference>& out) {
    TensorDifference difference{name, DifferenceKind::values, describe(a), describe(b)};
    if (a.shape != b.shape) {
      difference.kind = DifferenceKind::shape;
      out.push_back(difference);
      return;
    }
    difference.elements = a.elements;
    if (a.dtype_name == b.dtype_name || (a.dtype && b.dtype)) {
      for (std::uint64_t at = 0; at < a.elements; at += kCompareElements) {
        compare_block_at(a, b, at, difference);
      }
    }
    const bool types_count = a.dtype_name != b.dtype_name && (tolerance_.exact() || !a.dtype || !b.dtype);
    difference.kind = types_count ? DifferenceKind::dtype : DifferenceKind::values;
    if (types_count || difference.different > 0) {
      out.push_back(difference);
    }
  }

 private:
  void compare_block_at(const SavedTensor& a, const SavedTensor& b, std::uint64_t at, TensorDifference& difference) {
    const std::uint64_t count = std::min(kCompareElements, a.elements - at);
    const Pair block{read(a_, a, at, count, bytes_a_), read(b_, b, at, count, bytes_b_)};
    if (a.dtype && b.dtype) {
      compare_values(block, *a.dtype, *b.dtype, tolerance_, difference);
    } else {
      compare_bits(block, a.element_bytes, difference);
    }
    advance_(block.a.size());
  }

  static std::span<const std::byte> read(SavedTensors& from, const SavedTensor& tensor, std::uint64_t at,
                                         std::uint64_t count, Bytes& into) {
    into.resize(std::max<std::size_t>(into.size(), count * tensor.element_bytes));
    const std::span<std::byte> bytes(into.data(), count * tensor.element_bytes);
    from.read(tensor, at, bytes);
    return bytes;
  }

  SavedTensors& a_;
  SavedTensors& b_;
  const Tolerance& tolerance_;
  const std::function<void(std::uint64_t)>& advance_;
  Bytes bytes_a_;
  Bytes bytes_b_;
};

}  // namespace

std::string_view name_of(DifferenceKind kind) {
  constexpr std::string_view kNames[] = {"only in a", "only in b", "shape", "dtype", "values"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<TensorDifference> compare(SavedTensors& a, const std::vector<NamedTensor>& names_a, SavedTensors& b,
                                      const std::vector<NamedTensor>& names_b, const Tolerance& tolerance,
                                      const std::function<void(std::uint64_t)>& advance) {
  std::vector<TensorDifference> found;
  Comparer comparer(a, b, tolerance, advance);
  auto left = names_a.begin();
  auto right = names_b.begin();
  while (left != names_a.end() || right != names_b.end()) {
    if (right == names_b.end() || (left != names_a.end() && left->name < right->name)) {
      found.push_back({left->name, DifferenceKind::only_in_a, describe(*left->tensor), ""});
      ++left;
    } else if (left == names_a.end() || right->name < left->name) {
      found.push_back({right->name, DifferenceKind::only_in_b, "", describe(*right->tensor)});
      ++right;
    } else {
      comparer.compare(left->name, *left->tensor, *right->tensor, found);
      ++left;
      ++right;
    }
  }
  return found;
}

}  // namespace trireme::checkpoint
