// The loader's steady state takes no memory from the system: every operator new of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "trireme/core/base/step_context.h"
#include "trireme/core/data/clicks.h"
#include "trireme/core/data/digits.h"
#include "trireme/core/data/loader.h"
#include "trireme/core/data/text.h"

namespace {
std::atomic<long> allocations{0};
}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* block = std::malloc(bytes)) {
    return block;
  }
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace trireme::data {
namespace {

long allocations_of_later_steps(Loader loader) {
  for ([[maybe_unused]] auto& batch : loader.until_step(3)) {
  }
  const long before = allocations;
  for ([[maybe_unused]] auto& batch : loader.until_step(20)) {
  }
  step_context() = StepContext();
  return allocations - before;
}

TEST(SteadyState, ALoaderAllocatesNothingAfterItsFirstSteps) {
  for (const Order order : {Order::shuffled, Order::sequential}) {
    for (const int prefetch : {0, 2}) {
      const LoaderOptions options{.batch_size = 16, .lanes = 2, .order = order, .prefetch = prefetch};
      EXPECT_EQ(allocations_of_later_steps(Loader(Digits({.count = 640}), options)), 0);
      EXPECT_EQ(allocations_of_later_steps(Loader(Clicks(), options)), 0);
      EXPECT_EQ(allocations_of_later_steps(Loader(ByteText(std::vector<std::uint8_t>(5000, 'a'), 10), options)), 0);
    }
  }
}

TEST(SteadyState, MapStepsAllocateNothingOfTheirOwn) {
  EXPECT_EQ(allocations_of_later_steps(Loader(Digits({.count = 640}), {.batch_size = 16}).map([](Item& item) {
              item.inputs.data<float>()[0] = static_cast<float>(item.random.uniform(0));
            })),
            0);
}

}  // namespace
}  // namespace trireme::data
