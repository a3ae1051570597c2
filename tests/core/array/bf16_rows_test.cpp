// Conversion in vectors: the bits of BFloat16(float) for every kind of value, at every offset and length, on every
// instruction set.
#include "trireme/core/array/bf16_rows.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "tests/support/bf16_paths.h"
#include "trireme/core/array/accumulate.h"
#include "trireme/core/array/array.h"

namespace trireme {
namespace {

// Each upper half with lower halves around the ties: all of bf16's neighbourhoods, NaN and denormals included.
std::vector<float> every_neighbourhood() {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  return values;
}

TEST(Bf16Rows, RoundLikeBFloat16WhateverTheValue) {
  const std::vector<float> values = every_neighbourhood();
  test::on_every_bf16_path([&] {
    std::vector<BFloat16> rounded(values.size());
    round_row(values.data(), rounded.data(), static_cast<std::int64_t>(values.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(rounded[i].bits, BFloat16(values[i]).bits) << std::bit_cast<std::uint32_t>(values[i]);
    }
  });
}

TEST(Bf16Rows, WidenEveryPatternExactlyAtEveryOffsetAndLength) {
  std::vector<BFloat16> all(0x10000);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].bits = static_cast<std::uint16_t>(i);
  }
  test::on_every_bf16_path([&] {
    std::vector<float> wide(all.size());
    widen_row(all.data(), wide.data(), static_cast<std::int64_t>(all.size()));
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), i << 16);
    }
    for (std::size_t first = 0x3f00; first < 0x3f21; ++first) {
      for (std::size_t count = 0; count < 40; ++count) {
        std::vector<float> part(count + 1, 77.0f);
        std::vector<BFloat16> back(count + 1, BFloat16(77.0f));
        widen_row(all.data() + first, part.data(), static_cast<std::int64_t>(count));
        round_row(part.data(), back.data(), static_cast<std::int64_t>(count));
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ(part[i], wide[first + i]);
          ASSERT_EQ(back[i], all[first + i]);
        }
        ASSERT_EQ(part[count], 77.0f) << "written behind the end";
        ASSERT_EQ(back[count], BFloat16(77.0f)) << "written behind the end";
      }
    }
  });
}

TEST(Bf16Rows, SumsOfBf16AreRoundedOnceAtAnyLength) {
  for (std::int64_t count = 0; count < 70; ++count) {
    const Array a = Array::empty({count}, DType::bf16);
    const Array b = Array::empty({count}, DType::bf16);
    std::vector<BFloat16> expected;
    for (std::int64_t i = 0; i < count; ++i) {
      a.data<BFloat16>()[i] = BFloat16(1.0f + static_cast<float>(i) / 64);
      b.data<BFloat16>()[i] = BFloat16(0.01f * static_cast<float>(i * i));
      expected.push_back(
          BFloat16(static_cast<float>(a.data<BFloat16>()[i]) + static_cast<float>(b.data<BFloat16>()[i])));
    }
    test::on_every_bf16_path([&] {
      const Array sum = a.clone();
      accumulate(sum, b);
      for (std::int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(sum.data<BFloat16>()[i], expected[static_cast<std::size_t>(i)]);
      }
    });
  }
}

TEST(Bf16Rows, CopiesBetweenF32AndBf16GoThroughThemWithAnyStrides) {
  Array x = Array::empty({37, 53});
  for (std::int64_t i = 0; i < x.count(); ++i) {
    x.data<float>()[i] = 1.0f / static_cast<float>(i + 1);
  }
  for (const Array& given : {x, x.transpose(0, 1), x.narrow(1, 3, 20)}) {
    const std::vector<float> values = given.to_vector<float>();
    const std::vector<float> rounded = given.to(DType::bf16).to(DType::f32).to_vector<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(rounded[i], static_cast<float>(BFloat16(values[i])));
    }
  }
}

}  // namespace
}  // namespace trireme
