#include "trireme/launcher/collective_check.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "trireme/core/base/random.h"

namespace trireme::launcher {
namespace {

using comm::ReduceOp;

constexpr std::int64_t kBlock = 4096;  // elements made at once
using Block = std::array<double, kBlock>;

// Few ranks bring factors other than 1 and -1, so that a product stays a small whole number.
double factor_of(int choice, int rank, bool is_signed) {
  constexpr double kSigned[] = {1, -1, 2, -2};
  constexpr double kUnsigned[] = {1, 2, 3, 1};
  constexpr int kBold = 8;
  if (rank >= kBold) {
    return is_signed && choice % 2 == 1 ? -1 : 1;
  }
  return is_signed ? kSigned[choice] : kUnsigned[choice];
}

// What `rank` brings at [first, first + count).
void make(DType dtype, ReduceOp op, int rank, std::int64_t first, std::int64_t count, Block& out) {
  std::array<float, kBlock> uniform;
  const RandomStream stream(0, "collective bench", 0, static_cast<std::uint64_t>(rank));
  stream.fill_uniform(static_cast<std::uint64_t>(first), {uniform.data(), static_cast<std::size_t>(count)});
  const bool is_signed = dtype != DType::u8 && dtype != DType::boolean;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto u = static_cast<double>(uniform[static_cast<std::size_t>(i)]);
    double& value = out[static_cast<std::size_t>(i)];
    if (dtype == DType::boolean) {
      value = u < 0.5 ? 0 : 1;
    } else if (op == ReduceOp::product) {
      value = factor_of(static_cast<int>(u * 4), rank, is_signed);
    } else {
      value = static_cast<double>(static_cast<int>(u * 17)) - (is_signed ? 8 : 0);
    }
  }
}

double combine(double a, double b, ReduceOp op, bool boolean) {
  switch (op) {
    case ReduceOp::sum:
      return boolean ? std::max(a, b) : a + b;
    case ReduceOp::product:
      return a * b;
    case ReduceOp::min:
      return std::min(a, b);
    default:
      return std::max(a, b);
  }
}

template <class T>
T to(double value) {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
    return T(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, bool>) {
    return static_cast<T>(value);
  } else {
    return static_cast<T>(static_cast<std::int64_t>(value));  // integers wrap
  }
}

// Calls use(pointer, count, first) for each block of the array.
template <class Use>
void for_each_block(const Array& array, Use use) {
  dispatch_all(array.dtype(), [&](auto tag) {
    auto* const data = array.data<decltype(tag)>();
    for (std::int64_t begin = 0; begin < array.count(); begin += kBlock) {
      use(data + begin, std::min(kBlock, array.count() - begin), begin);
    }
  });
}

template <class T>
std::int64_t count_wrong(const T* data, std::int64_t count, const Block& expected) {
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    wrong += data[i] == to<T>(expected[static_cast<std::size_t>(i)]) ? 0 : 1;
  }
  return wrong;
}

}  // namespace

void CheckedData::fill(const Array& array, int rank, std::int64_t first) const {
  Block values;
  for_each_block(array, [&]<class T>(T* data, std::int64_t count, std::int64_t begin) {
    make(dtype_, op_, rank, first + begin, count, values);
    std::transform(values.begin(), values.begin() + count, data, to<T>);
  });
}

std::int64_t CheckedData::wrong_copies(const Array& array, int rank, std::int64_t first) const {
  std::int64_t wrong = 0;
  Block values;
  for_each_block(array, [&](auto* data, std::int64_t count, std::int64_t begin) {
    make(dtype_, op_, rank, first + begin, count, values);
    wrong += count_wrong(data, count, values);
  });
  return wrong;
}

std::int64_t CheckedData::wrong_reductions(const Array& array, std::int64_t first) const {
  std::int64_t wrong = 0;
  Block result;
  Block values;
  for_each_block(array, [&](auto* data, std::int64_t count, std::int64_t begin) {
    make(dtype_, op_, 0, first + begin, count, result);
    for (int rank = 1; rank < ranks_; ++rank) {
      make(dtype_, op_, rank, first + begin, count, values);
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        result[i] = combine(result[i], values[i], op_, dtype_ == DType::boolean);
      }
    }
    wrong += count_wrong(data, count, result);
  });
  return wrong;
}

}  // namespace trireme::launcher
