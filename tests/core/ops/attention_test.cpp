// Attention against a plain double loop, packed and separate, at lengths around the block of queries.
#include "trireme/core/ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

struct Plain {
  std::vector<double> q, k, v;  // [length, width] of one head
  std::int64_t queries, keys, width;
  bool causal;

  std::vector<double> result() const {
    std::vector<double> out(static_cast<std::size_t>(queries * width));
    for (std::int64_t t = 0; t < queries; ++t) {
      const std::int64_t seen = causal ? t + 1 : keys;
      std::vector<double> weights;
      double sum = 0;
      for (std::int64_t s = 0; s < seen; ++s) {
        double score = 0;
        for (std::int64_t i = 0; i < width; ++i) {
          score += q[static_cast<std::size_t>(t * width + i)] * k[static_cast<std::size_t>(s * width + i)];
        }
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(width))));
        sum += weights.back();
      }
      for (std::int64_t s = 0; s < seen; ++s) {
        for (std::int64_t i = 0; i < width; ++i) {
          out[static_cast<std::size_t>(t * width + i)] +=
              weights[static_cast<std::size_t>(s)] / sum * v[static_cast<std::size_t>(s * width + i)];
        }
      }
    }
    return out;
  }
};

TEST(CausalSelfAttention, AgreesWithAPlainLoopAtAnyLength) {
  const std::int64_t heads = 2;
  const std::int64_t width = 11;
  for (const std::int64_t length : {1, 2, 15, 31, 32, 33, 64, 70, 192, 200}) {
    const Array qkv = random_array({2, length, 3 * heads * width}, 1, -2, 2);
    const Array out = causal_self_attention(qkv.to(DType::f32), heads).array();
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t h = 0; h < heads; ++h) {
        const auto part = [&](std::int64_t which) {
          return qkv.select(0, b).narrow(1, (which * heads + h) * width, width).to_vector<double>();
        };
        const std::vector<double> expected = Plain{part(0), part(1), part(2), length, length, width, true}.result();
        const std::vector<double> got = out.select(0, b).narrow(1, h * width, width).to_vector<double>();
        for (std::size_t i = 0; i < got.size(); ++i) {
          ASSERT_NEAR(got[i], expected[i], 2e-6) << "length " << length << " head " << h << " element " << i;
        }
      }
    }
  }
}

TEST(CausalSelfAttention, GradientsAndStridesAreRight) {
  test::check_op([](const auto& in) { return causal_self_attention(in[0], 2); }, {random_array({2, 3, 12}, 1, -2, 2)});
  test::check_op([](const auto& in) { return causal_self_attention(in[0], 1); }, {random_array({1, 35, 6}, 2, -2, 2)});
}

TEST(CausalSelfAttention, BitsDoNotDependOnThreadsNorOnTheBatch) {
  const Array qkv = random_array({3, 70, 3 * 66}, 1);
  const auto op = [](const auto& in) { return causal_self_attention(in[0], 3); };
  test::expect_same_bits_for_any_threads(op, {qkv});
  const Array narrow = qkv.to(DType::f32);
  const Array whole = causal_self_attention(narrow, 3).array();
  test::expect_same_bits(causal_self_attention(narrow.narrow(0, 2, 1), 3).array(), whole.narrow(0, 2, 1),
                         "batch of one");
}

TEST(CausalSelfAttention, LaterTokensDoNotReachEarlierOnes) {
  const Array qkv = random_array({1, 40, 24}, 1).to(DType::f32);
  const Array before = causal_self_attention(qkv, 2).array();
  const Array changed = qkv.clone();
  changed.narrow(1, 20, 20).fill(50);
  test::expect_same_bits(causal_self_attention(changed, 2).array().narrow(1, 0, 20), before.narrow(1, 0, 20),
                         "first half");
}

TEST(CausalSelfAttention, LargeScoresDoNotOverflow) {
  const Array qkv = random_array({1, 20, 12}, 1, -300, 300).to(DType::f32);
  for (const float value : causal_self_attention(qkv, 1).array().to_vector<float>()) {
    EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(CausalSelfAttention, EmptyBatchesAndLengths) {
  const auto op = [](const auto& in) { return causal_self_attention(in[0], 2); };
  EXPECT_EQ(test::run_op(op, {Array::zeros({0, 5, 12}, DType::f64)})[1].count(), 0);
  EXPECT_EQ(test::run_op(op, {Array::zeros({2, 0, 12}, DType::f64)})[1].count(), 0);
}

TEST(CausalSelfAttention, HeadsThatDoNotDivideAreNamed) {
  EXPECT_NE(test::error_of([] {
              causal_self_attention(Array::zeros({1, 2, 12}), 3);
            }).find("3 heads given"),
            std::string::npos);
}

TEST(Attention, GradientsAndStridesAreRight) {
  const std::vector<Array> square = {random_array({1, 2, 5, 3}, 1), random_array({1, 2, 5, 3}, 2),
                                     random_array({1, 2, 5, 3}, 3)};
  const std::vector<Array> cross = {random_array({1, 2, 4, 3}, 1), random_array({1, 2, 7, 3}, 2),
                                    random_array({1, 2, 7, 3}, 3)};
  test::check_op([](const auto& in) { return attention(in[0], in[1], in[2], true); }, square);
  test::check_op([](const auto& in) { return attention(in[0], in[1], in[2], false); }, cross);
}

TEST(Attention, EqualsThePackedForm) {
  const Array qkv = random_array({2, 37, 3 * 20}, 1).to(DType::f32);
  const auto part = [&](std::int64_t which) {
    return qkv.narrow(2, which * 20, 20).reshape({2, 37, 4, 5}).transpose(1, 2);
  };
  const Array separate = attention(part(0), part(1), part(2), true).array();
  const Array packed = causal_self_attention(qkv, 4).array();
  test::expect_same_bits(separate.transpose(1, 2).reshape({2, 37, 20}), packed, "packed");
}

TEST(Attention, CrossAttentionAgreesWithAPlainLoop) {
  const Array q = random_array({1, 1, 40, 6}, 1);
  const Array k = random_array({1, 1, 19, 6}, 2);
  const Array v = random_array({1, 1, 19, 6}, 3);
  const std::vector<double> expected =
      Plain{q.to_vector<double>(), k.to_vector<double>(), v.to_vector<double>(), 40, 19, 6, false}.result();
  const std::vector<double> got = attention(q, k, v, false).array().to_vector<double>();
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], 1e-13);
  }
}

TEST(Attention, WrongShapesAreNamed) {
  const Array q = Array::zeros({1, 1, 4, 2});
  const Array k = Array::zeros({1, 1, 5, 2});
  EXPECT_NE(test::error_of([&] { attention(q, k, k, true); }).find("4 queries and 5 keys"), std::string::npos);
  EXPECT_NE(test::error_of([&] { attention(q, k, q, false); }).find("k f32[1, 1, 5, 2]"), std::string::npos);
}

}  // namespace
}  // namespace trireme::ops
