// Every op that takes parameters, with bf16 ones beside f32 activations: against float64 within stated tolerances, and
// bit for bit where nothing is rounded; f32 gradients; no dependence on threads, on the batch or on the bf16 path.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/core/ops/same_bits.h"
#include "tests/support/bf16_paths.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/batch_norm.h"
#include "trireme/core/ops/conv2d.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/embedding.h"
#include "trireme/core/ops/embedding_bag.h"
#include "trireme/core/ops/layer_norm.h"
#include "trireme/core/ops/linear.h"
#include "trireme/core/ops/matmul.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/ops/view.h"

namespace trireme::ops {
namespace {

using test::OpFunction;
using test::random_array;

// An op, its inputs in f64, and which of them are parameters. Their values are bf16 numbers already.
struct Case {
  const char* name;
  OpFunction op;
  std::vector<Array> inputs;
  std::vector<bool> parameter;
  // |bf16 - f64| <= tolerance * the largest element, for results and gradients: 2^-7 where operands of products are
  // rounded; 0: nothing is rounded, so the bits are those of f32 with the same values.
  double tolerance;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Array parameter(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1) {
  return random_array(shape, seed, low, high).to(DType::bf16).to(DType::f64);
}

// The result and all gradients; parameters have the dtype given, activations f32 (f64 if that is f64).
std::vector<Array> run(const Case& c, DType dtype) {
  std::vector<Tensor> leaves;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    leaves.push_back(Tensor::leaf(c.inputs[i].to(dtype == DType::f64 || c.parameter[i] ? dtype : DType::f32)));
  }
  const Tensor result = c.op(leaves);
  std::vector<Array> out{result.array().clone()};
  // Of f32 values in every dtype.
  result.backward(random_array(result.shape(), 5).to(DType::f32).to(result.dtype()));
  for (const Tensor& leaf : leaves) {
    out.push_back(leaf.grad());
  }
  return out;
}

class Bf16Parameters : public testing::TestWithParam<Case> {};

TEST_P(Bf16Parameters, ResultsAndGradientsAreF32AndCloseToFloat64) {
  const Case& c = GetParam();
  const std::vector<Array> exact = run(c, DType::f64);
  const std::vector<Array> single = run(c, DType::f32);
  const std::vector<Array> mixed = run(c, DType::bf16);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    SCOPED_TRACE(i == 0 ? "result" : "gradient of input " + std::to_string(i - 1));
    ASSERT_EQ(mixed[i].dtype(), DType::f32);
    if (c.tolerance == 0) {
      test::expect_same_bits(mixed[i], single[i], "bf16 and f32 parameters of the same values");
      continue;
    }
    const std::vector<double> got = mixed[i].to_vector<double>();
    const std::vector<double> wanted = exact[i].to_vector<double>();
    double most = 0;
    for (const double value : wanted) {
      most = std::max(most, std::abs(value));
    }
    for (std::size_t j = 0; j < wanted.size(); ++j) {
      ASSERT_NEAR(got[j], wanted[j], c.tolerance * most) << "element " << j;
    }
  }
}

TEST_P(Bf16Parameters, BitsDependNeitherOnThreadsNorOnTheWayOfTheProducts) {
  const Case& c = GetParam();
  const std::vector<Array> one = run(c, DType::bf16);
  const auto expect_the_same = [&](const std::string& what) {
    const std::vector<Array> other = run(c, DType::bf16);
    for (std::size_t i = 0; i < one.size(); ++i) {
      test::expect_same_bits(one[i], other[i], what + ", array " + std::to_string(i));
    }
  };
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    expect_the_same(std::to_string(threads) + " threads");
    set_num_threads(1);
  }
  allow_native_bf16(false);
  expect_the_same("without the processor's bf16 instruction");
  allow_native_bf16(true);
}

constexpr double kProduct = 1.0 / 128;

const Array kIds = Array::from(std::vector<std::int64_t>{3, 0, 3, 1, 6}, {5});
const Array kOffsets = Array::from(std::vector<std::int64_t>{0, 2, 2}, {3});

INSTANTIATE_TEST_SUITE_P(
    Ops, Bf16Parameters,
    testing::
        Values(Case{"linear",
                    [](const auto& in) { return linear(in[0], in[1], in[2]); },
                    {random_array({2, 9, 35}, 1), parameter({19, 35}, 2), parameter({19}, 3)},
                    {false, true, true},
                    kProduct},
               Case{"linear_in_out",
                    [](const auto& in) { return linear(in[0], in[1], in[2], WeightLayout::in_out); },
                    {random_array({70, 35}, 1), parameter({35, 51}, 2), parameter({51}, 3)},
                    {false, true, true},
                    kProduct},
               Case{"linear_without_bias",
                    [](const auto& in) { return linear(in[0], in[1], Tensor()); },
                    {random_array({3, 8}, 1), parameter({5, 8}, 2)},
                    {false, true},
                    kProduct},
               Case{"matmul",
                    [](const auto& in) { return matmul(in[0], in[1]); },
                    {random_array({2, 3, 7, 12}, 1), parameter({12, 9}, 2)},
                    {false, true},
                    kProduct},
               Case{"matmul_parameter_first",
                    [](const auto& in) { return matmul(in[0], transpose(in[1], 1, 2)); },
                    {parameter({3, 7, 12}, 1), random_array({3, 9, 12}, 2)},
                    {true, false},
                    kProduct},
               Case{"matmul_broadcast_over_a_part",
                    [](const auto& in) { return matmul(in[0], in[1]); },
                    {random_array({2, 3, 4, 5}, 1), parameter({3, 5, 6}, 2)},
                    {false, true},
                    kProduct},
               Case{"matmul_of_parameters",
                    [](const auto& in) { return matmul(in[0], in[1]); },
                    {parameter({4, 5}, 1), parameter({5, 6}, 2)},
                    {true, true},
                    kProduct},
               Case{"linear_cross_entropy",
                    [](const auto& in) { return linear_cross_entropy(in[0], in[1], kIds); },
                    {random_array({5, 24}, 1), parameter({7, 24}, 2)},
                    {false, true},
                    kProduct},
               Case{"tied_head",
                    [](const auto& in) { return linear_cross_entropy(embedding(in[0], kIds) + in[1], in[0], kIds); },
                    {parameter({7, 24}, 1), parameter({5, 24}, 2)},
                    {true, true},
                    kProduct},
               Case{"conv2d",
                    [](const auto& in) { return conv2d(in[0], in[1], in[2], {.padding = 1}); },
                    {random_array({3, 4, 6, 5}, 1), parameter({6, 4, 3, 3}, 2), parameter({6}, 3)},
                    {false, true, true},
                    kProduct},
               Case{"conv2d_strided_groups",
                    [](const auto& in) { return conv2d(in[0], in[1], Tensor(), {.stride = 2, .groups = 2}); },
                    {random_array({2, 4, 7, 7}, 1), parameter({6, 2, 3, 3}, 2)},
                    {false, true},
                    kProduct},
               Case{"conv2d_pointwise",
                    [](const auto& in) { return conv2d(in[0], in[1], Tensor()); },
                    {random_array({2, 4, 3, 3}, 1), parameter({6, 4, 1, 1}, 2)},
                    {false, true},
                    kProduct},
               Case{"layer_norm",
                    [](const auto& in) { return layer_norm(in[0], in[1], in[2], 1e-5); },
                    {random_array({70, 21}, 1, -2, 3), parameter({21}, 2, 0.5, 1.5), parameter({21}, 3)},
                    {false, true, true},
                    0},
               Case{"batch_norm",
                    [](const auto& in) { return batch_norm(in[0], in[1], in[2], Array(), Array()); },
                    {random_array({4, 3, 5}, 1, -2, 3), parameter({3}, 2, 0.5, 1.5), parameter({3}, 3)},
                    {false, true, true},
                    0},
               Case{"embedding",
                    [](const auto& in) { return embedding(in[0], kIds); },
                    {parameter({7, 19}, 1)},
                    {true},
                    0},
               Case{"embedding_bag_mean",
                    [](const auto& in) { return embedding_bag(in[0], kIds, kOffsets, BagMode::mean); },
                    {parameter({7, 19}, 1)},
                    {true},
                    0},
               Case{"position_embedding",
                    [](const auto& in) { return in[0] + narrow(in[1], 0, 0, 4); },
                    {random_array({3, 4, 5}, 1), parameter({6, 5}, 2)},
                    {false, true},
                    0},
               Case{
                   "class_token",
                   [](const auto& in) {
                     return concat({broadcast_to(in[0], {2, 1, 5}), in[1]}, 1);
                   },
                   {parameter({1, 1, 5}, 1), random_array({2, 3, 5}, 2)},
                   {true, false},
                   0},
               Case{"scale_and_shift",
                    [](const auto& in) { return in[0] * in[1] - in[2] / (2.0 - in[1]) + maximum(in[0], in[2]); },
                    {random_array({3, 5}, 1), parameter({5}, 2), parameter({3, 1}, 3)},
                    {false, true, true},
                    0},
               Case{"gate",
                    [](const auto& in) { return where(kIds, sigmoid(in[1]) * in[0], exp(in[1])); },
                    {random_array({2, 5}, 1), parameter({5}, 2)},
                    {false, true},
                    0},
               Case{"penalty",
                    [](const auto&
                           in) { return sum(in[0]) + mean(in[0] * in[0]) + sum(select(reshape(in[0], {5, 3}), 0, 1)); },
                    {parameter({3, 5}, 1)},
                    {true},
                    0}),
    [](const auto& info) { return info.param.name; });

TEST(Bf16Linear, ARowHasTheSameBitsInAnyBatch) {
  const Array x = random_array({70, 35}, 1).to(DType::f32);
  const Array weight = random_array({35, 51}, 2).to(DType::bf16);
  const Array whole = linear(x, weight, Tensor(), WeightLayout::in_out).array();
  for (const std::int64_t first : {0, 1, 33}) {
    for (const std::int64_t count : {1, 7, 30}) {
      test::expect_same_bits(linear(x.narrow(0, first, count), weight, Tensor(), WeightLayout::in_out).array(),
                             whole.narrow(0, first, count), "rows");
    }
  }
}

TEST(Bf16Linear, TheF32GradientIsWrittenIntoTheBufferOfTheLeafAndAddedOntoASecondTime) {
  const Tensor x(random_array({3, 4}, 1).to(DType::f32));
  const Tensor w = Tensor::leaf(random_array({2, 4}, 2).to(DType::bf16));
  const Array buffer = Array::full({2, 4}, 7);
  w.leaf_node().set_buffer(buffer);
  linear(x, w, Tensor()).backward(Array::full({3, 2}, 1));
  EXPECT_EQ(w.grad().bytes_data(), buffer.bytes_data());
  const std::vector<float> once = buffer.to_vector<float>();
  linear(x, w, Tensor()).backward(Array::full({3, 2}, 1));
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(buffer.data<float>()[i], 2 * once[i]);
  }
}

TEST(Bf16Linear, F64BesideBf16IsAnErrorThatNamesBoth) {
  const std::string message = test::error_of([] {
    linear(Array::zeros({2, 4}, DType::f64), Array::zeros({3, 4}, DType::bf16), Tensor());
  });
  EXPECT_NE(message.find("x f64[2, 4] given for weight bf16[3, 4]"), std::string::npos) << message;
}

}  // namespace
}  // namespace trireme::ops
