// An array as bf16 in its own memory, against a copy.
#include "trireme/strategies/fully_sharded/bf16_in_place.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/core/ops/same_bits.h"
#include "tests/support/op_check.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kCounts[] = {0, 1, 2, 511, 512, 513, 65535, 65536, 65537, 131073, 200003};

Array values_of(std::int64_t count) {
  return test::random_array({count + 3}, 5).to(DType::f32).narrow(0, 3, count);  // off the storage's start
}

TEST(Bf16InPlace, NarrowedElementsAreThoseOfACopy) {
  for (const std::int64_t count : kCounts) {
    const Array values = values_of(count);
    const Array expected = values.contiguous().clone().to(DType::bf16);
    const Array got = narrow_in_place(values);
    test::expect_same_bits(got, expected, std::to_string(count));
    EXPECT_TRUE(count == 0 || got.bytes_data() == values.bytes_data());
  }
}

TEST(Bf16InPlace, WidenedElementsAreThoseOfACopy) {
  for (const std::int64_t count : kCounts) {
    const Array values = values_of(count);
    const Array halves = values.contiguous().clone().to(DType::bf16);
    last_half(values).copy_from(halves);
    widen_in_place(values);
    test::expect_same_bits(values.clone(), halves.to(DType::f32), std::to_string(count));
  }
}

TEST(Bf16InPlace, RoundingIsNarrowingAndWidening) {
  for (const std::int64_t count : kCounts) {
    const Array values = values_of(count);
    const Array expected = values.contiguous().clone().to(DType::bf16).to(DType::f32);
    round_through_bf16(values);
    test::expect_same_bits(values.clone(), expected, std::to_string(count));
  }
}

}  // namespace
}  // namespace trireme::strategies
