#include "trireme/core/array/accumulate.h"

#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

constexpr std::int64_t kTile = 64 << 10;

template <class T>
void add(T* __restrict target, const T* __restrict source, std::int64_t begin, std::int64_t end) {
  if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
    for (std::int64_t i = begin; i < end; ++i) {
      target[i] = T(static_cast<float>(target[i]) + static_cast<float>(source[i]));
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    for (std::int64_t i = begin; i < end; ++i) {
      target[i] = target[i] || source[i];
    }
  } else {
    for (std::int64_t i = begin; i < end; ++i) {
      target[i] = static_cast<T>(target[i] + source[i]);
    }
  }
}

}  // namespace

void accumulate(const Array& target, const Array& source) {
  require(target.shape() == source.shape() && target.dtype() == source.dtype() && target.is_contiguous() &&
              source.is_contiguous(),
          "accumulate: {} given, contiguous {} expected", source, target);
  if (target.count() == 0) {
    return;
  }
  dispatch_all(target.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = target.data<T>();
    const T* from = source.data<T>();
    parallel_for(target.count(), kTile, [=](std::int64_t begin, std::int64_t end) { add(to, from, begin, end); });
  });
}

}  // namespace trireme
