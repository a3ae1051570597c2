// Pairwise dot products: against a plain loop, gradients, threads, instruction sets, wrong shapes.
#include "trireme/core/ops/dot_interaction.h"

#include <gtest/gtest.h>

#include "hwy/highway.h"
#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;

std::vector<double> plain(const Array& dense, const Array& rows) {
  std::vector<double> out;
  const std::int64_t vectors = rows.size(1) + 1;
  const auto at = [&](std::int64_t e, std::int64_t i, std::int64_t k) {
    return i == 0 ? dense.select(0, e).select(0, k).item() : rows.select(0, e).select(0, i - 1).select(0, k).item();
  };
  for (std::int64_t e = 0; e < dense.size(0); ++e) {
    for (std::int64_t k = 0; k < dense.size(1); ++k) {
      out.push_back(at(e, 0, k));
    }
    for (std::int64_t i = 1; i < vectors; ++i) {
      for (std::int64_t j = 0; j < i; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < dense.size(1); ++k) {
          sum += at(e, i, k) * at(e, j, k);
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

void expect_as_plain(std::int64_t items, std::int64_t categories, std::int64_t width) {
  const Array dense = random_array({items, width}, 1), rows = random_array({items, categories, width}, 2);
  const Array out = ops::dot_interaction(dense.to(DType::f32), rows.to(DType::f32)).array();
  const std::vector<double> expected = plain(dense, rows);
  ASSERT_EQ(out.count(), static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(out.data<float>()[i], expected[i], 1e-5) << i;
  }
}

TEST(DotInteraction, IsWhatAPlainLoopComputes) {
  expect_as_plain(3, 4, 5);
  expect_as_plain(2, 26, 16);
  expect_as_plain(1, 1, 1);
  expect_as_plain(2, 40, 33);
}

TEST(DotInteraction, IsThatOnEveryInstructionSet) {
  for (const std::int64_t target : {HWY_AVX3, HWY_AVX2, HWY_SCALAR}) {
    if ((hwy::SupportedTargets() & target) != 0 || target == HWY_SCALAR) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      expect_as_plain(2, 26, 19);
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

TEST(DotInteraction, GradientMatchesFiniteDifferences) {
  const auto op = [](const std::vector<Tensor>& in) { return ops::dot_interaction(in[0], in[1]); };
  check_op(op, {random_array({3, 5}, 1), random_array({3, 4, 5}, 2)});
  check_op(op, {random_array({1, 18}, 3), random_array({1, 19, 18}, 4)});
}

TEST(DotInteraction, ThreadsDoNotChangeBits) {
  const auto run = [] {
    Tensor dense = Tensor::leaf(random_array({300, 9}, 1).to(DType::f32));
    Tensor rows = Tensor::leaf(random_array({300, 6, 9}, 2).to(DType::f32));
    const Tensor out = ops::dot_interaction(dense, rows);
    out.backward(random_array(out.shape(), 3).to(DType::f32));
    std::vector<float> all = rows.grad().to_vector<float>();
    for (const float value : dense.grad().to_vector<float>()) {
      all.push_back(value);
    }
    return all;
  };
  const std::vector<float> alone = run();
  set_num_threads(3);
  EXPECT_EQ(run(), alone);
  set_num_threads(1);
}

TEST(DotInteraction, WrongShapesAreErrors) {
  const auto zeros = [](const Shape& shape) { return Tensor(Array::zeros(shape)); };
  EXPECT_THROW(ops::dot_interaction(zeros({2, 3}), zeros({2, 4, 5})), Error);
  EXPECT_THROW(ops::dot_interaction(zeros({2, 3}), zeros({3, 4, 3})), Error);
  EXPECT_THROW(ops::dot_interaction(zeros({2, 3}), zeros({2, 3})), Error);
  EXPECT_THROW(ops::dot_interaction(zeros({2, 3}), Array::zeros({2, 4, 3}, DType::f64)), Error);
}

}  // namespace
}  // namespace trireme
