// In which order items are seen: a pure function of (seed, step, place in the batch). Nothing is kept between calls, so
// a run can begin anywhere and any rank can ask for any item's number.
#pragma once

#include <cstdint>
#include <span>

namespace trireme::data {

enum class Order : std::uint8_t {
  shuffled,    // a new permutation each epoch; an epoch's last batch may be short
  sequential,  // item i of step s is (s * batch_size + i) mod count: every batch is full, epochs have no edge
};

struct Sampler {
  std::int64_t count = 0;       // items of the dataset
  std::int64_t batch_size = 1;  // of the whole world
  Order order = Order::shuffled;
  std::uint64_t seed = 0;

  // An epoch is this many steps: count / batch_size rounded up.
  std::int64_t steps_per_epoch() const { return (count + batch_size - 1) / batch_size; }
  // Items of the step's global batch.
  std::int64_t items_of(std::int64_t step) const;
  // The dataset's items at places [begin, begin + items.size()) of the step's global batch.
  void fill(std::int64_t step, std::int64_t begin, std::span<std::int64_t> items) const;
};

}  // namespace trireme::data
