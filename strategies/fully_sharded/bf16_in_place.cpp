#include "trireme/strategies/fully_sharded/bf16_in_place.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/array/bf16_rows.h"
#include "trireme/core/base/parallel.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kTile = 64 << 10;  // elements
constexpr std::int64_t kRun = 512;

Array halves_over(const Array& array, std::int64_t skipped_bytes) {
  if (array.count() == 0) {
    return Array::empty({0}, DType::bf16);
  }
  const auto begin = array.bytes_data() - array.storage()->data() + skipped_bytes;
  return Array::over(array.storage(), static_cast<std::size_t>(begin), {array.count()}, DType::bf16);
}

// f(at, count, room): consecutive runs, each through a buffer, as input and output overlap.
template <class F>
void for_runs(std::int64_t begin, std::int64_t end, const F& f) {
  BFloat16 room[kRun];
  for (std::int64_t at = begin; at < end; at += kRun) {
    f(at, std::min(kRun, end - at), room);
  }
}

}  // namespace

void round_through_bf16(const Array& array) {
  parallel_for(array.count(), kTile, [values = array.data<float>()](std::int64_t begin, std::int64_t end) {
    for_runs(begin, end, [values](std::int64_t at, std::int64_t count, BFloat16* room) {
      round_row(values + at, room, count);
      widen_row(room, values + at, count);
    });
  });
}

// The elements [m, 2 m) are written where the elements [m / 2, m) were: so when those are done, tiles of these may run
// in any order.
Array narrow_in_place(const Array& array) {
  const Array halves = halves_over(array, 0);
  const std::int64_t count = array.count();
  if (count == 0) {
    return halves;
  }
  const float* values = array.data<float>();
  auto* const to = halves.data<BFloat16>();
  std::int64_t done = std::min(count, kTile);
  for_runs(0, done, [&](std::int64_t at, std::int64_t length, BFloat16* room) {
    round_row(values + at, room, length);
    std::memcpy(to + at, room, static_cast<std::size_t>(length) * sizeof(BFloat16));
  });
  while (done < count) {
    const std::int64_t next = std::min(count, 2 * done);
    parallel_for(next - done, kTile, [from = values + done, to = to + done](std::int64_t begin, std::int64_t end) {
      round_row(from + begin, to + begin, end - begin);
    });
    done = next;
  }
  return halves;
}

Array last_half(const Array& array) {
  return halves_over(array, array.count() * static_cast<std::int64_t>(sizeof(BFloat16)));
}

// Of what is left, the first half is written where nothing is left to be read.
void widen_in_place(const Array& array) {
  const std::int64_t count = array.count();
  if (count == 0) {
    return;
  }
  const Array halves = last_half(array);
  const auto* from = halves.data<BFloat16>();
  float* values = array.data<float>();
  std::int64_t done = 0;
  while (count - done > kTile) {
    const std::int64_t next = done + (count - done) / 2;
    parallel_for(next - done, kTile, [from = from + done, to = values + done](std::int64_t begin, std::int64_t end) {
      widen_row(from + begin, to + begin, end - begin);
    });
    done = next;
  }
  for_runs(done, count, [&](std::int64_t at, std::int64_t length, BFloat16* room) {
    std::memcpy(room, from + at, static_cast<std::size_t>(length) * sizeof(BFloat16));
    widen_row(room, values + at, length);
  });
}

}  // namespace trireme::strategies
