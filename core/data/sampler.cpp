#include "trireme/core/data/sampler.h"

#include <algorithm>

#include "trireme/core/base/random.h"

namespace trireme::data {

std::int64_t Sampler::items_of(std::int64_t step) const {
  if (order == Order::sequential) {
    return batch_size;
  }
  return std::min(batch_size, count - step % steps_per_epoch() * batch_size);
}

void Sampler::fill(std::int64_t step, std::int64_t begin, std::span<std::int64_t> items) const {
  if (order == Order::sequential) {
    std::int64_t item =
        static_cast<std::int64_t>((static_cast<unsigned __int128>(step) * static_cast<unsigned __int128>(batch_size) +
                                   static_cast<unsigned __int128>(begin)) %
                                  static_cast<unsigned __int128>(count));
    for (std::int64_t& out : items) {
      out = item;
      item = item + 1 == count ? 0 : item + 1;
    }
    return;
  }
  const std::int64_t epoch = step / steps_per_epoch();
  std::int64_t position = step % steps_per_epoch() * batch_size + begin;
  const Permutation permutation(RandomStream(seed, "sampler", static_cast<std::uint64_t>(epoch), 0),
                                static_cast<std::uint64_t>(count));
  for (std::int64_t& out : items) {
    out = static_cast<std::int64_t>(permutation(static_cast<std::uint64_t>(position++)));
  }
}

}  // namespace trireme::data
