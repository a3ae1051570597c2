// The loader's steady state takes no memory from the system: every operator new of this program is counted.
#include <gtest/gtest.h>

#include "tests/support/count_allocations.h"
#include "trireme/core/base/step_context.h"
#include "trireme/core/data/clicks.h"
#include "trireme/core/data/digits.h"
#include "trireme/core/data/loader.h"
#include "trireme/core/data/text.h"

namespace trireme::data {
namespace {

long allocations_of_later_steps(Loader loader) {
  for ([[maybe_unused]] auto& batch : loader.until_step(3)) {
  }
  const long count = test::allocations_of([&] {
    for ([[maybe_unused]] auto& batch : loader.until_step(20)) {
    }
  });
  step_context() = StepContext();
  return count;
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
