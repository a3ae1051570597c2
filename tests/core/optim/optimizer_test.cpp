// What all optimizers share: slots, state, skipped gradients, errors, and bits that do not depend on slices.
#include "trireme/core/optim/optimizer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adam.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::optim {
namespace {

struct Case {
  const char* name;
  std::function<std::unique_ptr<Optimizer>()> make;
};

std::vector<Case> all_optimizers() {
  return {
      {"SGD", [] { return std::make_unique<SGD>(SGDOptions{.lr = 0.1, .weight_decay = 0.01}); }},
      {"SGD with momentum",
       [] { return std::make_unique<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true}); }},
      {"Adam", [] { return std::make_unique<Adam>(AdamOptions{.lr = 0.1, .weight_decay = 0.01}); }},
      {"AdamW", [] { return std::make_unique<AdamW>(AdamWOptions{.lr = 0.1}); }},
      {"Adagrad", [] { return std::make_unique<Adagrad>(AdagradOptions{.lr = 0.1, .weight_decay = 0.01}); }},
  };
}

Array random_flat(std::int64_t count, unsigned seed) {
  const Array out = Array::empty({count});
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& value : out.span<float>()) {
    value = normal(random);
  }
  return out;
}

// Three updates of elements [first, first + count) of one parameter, as a rank that owns this piece would make them.
std::vector<float> updated(Optimizer& optimizer, std::int64_t first, std::int64_t count, std::int64_t whole) {
  const Array value = random_flat(whole, 1).narrow(0, first, count).clone();
  optimizer.attach({Slot{"w", {whole}, first, false, value, {}}});
  for (unsigned step = 0; step < 3; ++step) {
    optimizer.update({random_flat(whole, 2 + step).narrow(0, first, count).clone()}, 0.5);
  }
  std::vector<float> out = value.to_vector<float>();
  for (const Array& state : optimizer.slots()[0].state) {
    const std::vector<float> more = state.to_vector<float>();
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

TEST(Optimizer, AnElementHasTheSameBitsInEverySlice) {
  constexpr std::int64_t kWhole = 83;
  for (const Case& c : all_optimizers()) {
    const std::vector<float> expected = updated(*c.make(), 0, kWhole, kWhole);
    for (std::int64_t first = 0; first < kWhole; ++first) {
      for (const std::int64_t count :
           {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, std::int64_t{17}, kWhole - first}) {
        if (first + count > kWhole) {
          continue;
        }
        const std::vector<float> piece = updated(*c.make(), first, count, kWhole);
        for (std::size_t part = 0; part * static_cast<std::size_t>(count) < piece.size(); ++part) {
          ASSERT_EQ(
              0, std::memcmp(piece.data() + part * static_cast<std::size_t>(count),
                             expected.data() + part * kWhole + first, static_cast<std::size_t>(count) * sizeof(float)))
              << c.name << ": elements [" << first << ", " << first + count << ")";
        }
      }
    }
  }
}

TEST(Optimizer, UnalignedMemoryGivesTheSameBits) {
  for (const Case& c : all_optimizers()) {
    std::vector<float> expected;
    for (std::int64_t shift = 0; shift < 17; ++shift) {
      const Array memory = Array::empty({40 + shift});
      const Array value = memory.narrow(0, shift, 40);
      value.copy_from(random_flat(40, 1));
      const Array gradient = Array::empty({80}).narrow(0, 2 * shift, 40);
      gradient.copy_from(random_flat(40, 2));
      auto optimizer = c.make();
      optimizer->attach({Slot{"w", {40}, 0, false, value, {}}});
      optimizer->update({gradient});
      const std::vector<float> got = value.to_vector<float>();
      expected = shift == 0 ? got : expected;
      ASSERT_EQ(0, std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)))
          << c.name << ", shift " << shift;
    }
  }
}

TEST(Optimizer, BitsDoNotDependOnTheNumberOfThreads) {
  constexpr std::int64_t kWhole = 50'001;
  for (const Case& c : all_optimizers()) {
    const std::vector<float> one = updated(*c.make(), 0, kWhole, kWhole);
    set_num_threads(2);
    const std::vector<float> two = updated(*c.make(), 0, kWhole, kWhole);
    set_num_threads(1);
    EXPECT_EQ(0, std::memcmp(one.data(), two.data(), one.size() * sizeof(float))) << c.name;
  }
}

TEST(Optimizer, OnlyWrittenMemoryIsTheSlotsOwn) {
  for (const Case& c : all_optimizers()) {
    const Array memory = Array::full({64}, 7);
    auto optimizer = c.make();
    optimizer->attach({Slot{"w", {21}, 0, false, memory.narrow(0, 20, 21), {}}});
    optimizer->update({Array::full({21}, 1)});
    for (const std::int64_t outside : {0, 19, 41, 63}) {
      EXPECT_EQ(memory.data<float>()[outside], 7) << c.name;
    }
    EXPECT_NE(memory.data<float>()[20], 7) << c.name;
    EXPECT_NE(memory.data<float>()[40], 7) << c.name;
  }
}

TEST(Optimizer, SlotsWithoutAGradientAreLeftAloneButTheStepCounts) {
  AdamW optimizer({.lr = 0.1});
  const Array touched = Array::full({3}, 1);
  const Array frozen = Array::full({3}, 1);
  optimizer.attach({Slot{"a", {3}, 0, false, touched, {}}, Slot{"b", {3}, 0, false, frozen, {}}});
  optimizer.update({Array::full({3}, 1), Array()});
  EXPECT_NE(touched.to_vector<float>()[0], 1);
  EXPECT_EQ(frozen.to_vector<float>(), std::vector<float>(3, 1));
  EXPECT_EQ(optimizer.steps(), 1);
}

TEST(Optimizer, GivenStateIsKeptAndWrongStateIsAnError) {
  AdamW optimizer;
  const Array m = Array::full({3}, 5);
  optimizer.attach({Slot{"a", {3}, 0, false, Array::zeros({3}), {m, Array()}}});
  EXPECT_EQ(optimizer.slots()[0].state[0].to_vector<float>(), std::vector<float>(3, 5));
  EXPECT_EQ(optimizer.slots()[0].state[1].to_vector<float>(), std::vector<float>(3, 0));
  EXPECT_THROW(optimizer.attach({Slot{"a", {3}, 0, false, Array::zeros({3}), {Array::zeros({4})}}}), Error);
}

TEST(Optimizer, ErrorsNameTheParameter) {
  AdamW optimizer;
  optimizer.attach({Slot{"fc.weight", {3}, 0, false, Array::zeros({3}), {}}});
  try {
    optimizer.update({Array::zeros({4})});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc.weight"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("f32[4]"), std::string::npos) << error.what();
  }
  EXPECT_THROW(optimizer.update({}), Error);
  EXPECT_THROW(optimizer.attach({Slot{"w", {3}, 1, false, Array::zeros({3}), {}}}), Error);
  EXPECT_THROW(optimizer.attach({Slot{"w", {3}, 0, false, Array::zeros({3}, DType::f64), {}}}), Error);
}

TEST(Optimizer, ZeroGradCallsWhatThePreparerGave) {
  SGD optimizer;
  int calls = 0;
  optimizer.zero_grad();
  optimizer.attach({}, [&] { ++calls; });
  optimizer.zero_grad();
  EXPECT_EQ(calls, 1);
}

TEST(Optimizer, SettingsThatCannotBeAreUsageErrors) {
  EXPECT_THROW(AdamW({.beta1 = 1.0}), Error);
  EXPECT_THROW(Adam({.eps = -1}), Error);
  EXPECT_THROW(SGD({.nesterov = true}), Error);
  EXPECT_THROW(Adagrad({.weight_decay = -1}), Error);
}

std::vector<Case> optimizers_of_tables() {
  std::vector<Case> all = all_optimizers();
  all.push_back({"RowwiseAdagrad", [] { return std::make_unique<RowwiseAdagrad>(AdagradOptions{.lr = 0.1}); }});
  return all;
}

SparseRows rows_of(const std::vector<std::int64_t>& rows, std::int64_t width, unsigned seed) {
  const auto count = static_cast<std::int64_t>(rows.size());
  return {Array::from(rows, {count}), random_flat(count * width, seed).reshape({count, width})};
}

TEST(SparseSlot, UntouchedRowsGetNoUpdateAndNoDecay) {
  for (const Case& c : optimizers_of_tables()) {
    auto optimizer = c.make();
    const Array value = Array::full({5 * 3}, 1);
    optimizer->attach({Slot{"table", {5, 3}, 0, true, value, {}}});
    std::vector<Array> states = optimizer->slots()[0].state;
    for (const Array& state : states) {
      state.fill(0.5);
    }
    optimizer->update({rows_of({1, 3}, 3, 2)});
    states.push_back(value);
    for (const Array& array : states) {
      const std::int64_t width = array.count() / 5;
      const float before = &array == &states.back() ? 1 : 0.5;
      for (std::int64_t i = 0; i < array.count(); ++i) {
        const bool touched = i / width == 1 || i / width == 3;
        EXPECT_EQ(array.data<float>()[i] != before, touched) << c.name << ", element " << i;
      }
    }
  }
}

TEST(SparseSlot, ATouchedRowMovesEvenIfItsGradientIsZero) {
  AdamW optimizer({.lr = 0.1, .weight_decay = 0.5});
  const Array value = Array::full({2 * 3}, 1);
  optimizer.attach({Slot{"table", {2, 3}, 0, true, value, {}}});
  optimizer.update({SparseRows{Array::from(std::vector<std::int64_t>{1}, {1}), Array::zeros({1, 3})}});
  EXPECT_EQ(value.to_vector<float>(), (std::vector<float>{1, 1, 1, 0.95f, 0.95f, 0.95f}));
}

TEST(SparseSlot, TouchedRowsHaveTheBitsOfADenseUpdate) {
  std::vector<std::int64_t> all;
  for (std::int64_t row = 0; row < 70; ++row) {
    all.push_back(row);
  }
  for (const Case& c : optimizers_of_tables()) {
    std::vector<float> results[2];
    for (const bool sparse : {false, true}) {
      auto optimizer = c.make();
      const Array value = random_flat(70 * 9, 1);
      optimizer->attach({Slot{"table", {70, 9}, 0, sparse, value, {}}});
      for (unsigned step = 2; step < 5; ++step) {
        const Gradient gradient = sparse ? Gradient(rows_of(all, 9, step)) : Gradient(random_flat(70 * 9, step));
        optimizer->update({gradient}, 0.5);
      }
      results[sparse] = value.to_vector<float>();
    }
    EXPECT_EQ(results[0], results[1]) << c.name;
  }
}

TEST(SparseSlot, APieceIsUpdatedByTheRowsThatItHas) {
  for (const Case& c : optimizers_of_tables()) {
    auto whole = c.make(), piece = c.make();
    const Array value = random_flat(12 * 4, 1);
    const Array part = value.narrow(0, 5 * 4, 3 * 4).clone();
    whole->attach({Slot{"table", {12, 4}, 0, true, value, {}}});
    piece->attach({Slot{"table", {12, 4}, 5 * 4, true, part, {}}});
    const SparseRows touched = rows_of({0, 5, 7, 11}, 4, 2);
    whole->update({touched});
    piece->update({rows_between(touched, 5, 8)});
    EXPECT_EQ(value.narrow(0, 5 * 4, 3 * 4).to_vector<float>(), part.to_vector<float>()) << c.name;
  }
}

TEST(SparseSlot, BitsDoNotDependOnTheNumberOfThreads) {
  std::vector<std::int64_t> touched;
  for (std::int64_t row = 0; row < 20'000; row += 3) {
    touched.push_back(row);
  }
  for (const Case& c : optimizers_of_tables()) {
    std::vector<float> results[2];
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      auto optimizer = c.make();
      const Array value = random_flat(20'000 * 6, 1);
      optimizer->attach({Slot{"table", {20'000, 6}, 0, true, value, {}}});
      optimizer->update({rows_of(touched, 6, 2)});
      results[threads - 1] = value.to_vector<float>();
    }
    set_num_threads(1);
    EXPECT_EQ(results[0], results[1]) << c.name;
  }
}

TEST(SparseSlot, GradientsThatDoNotFitAreErrorsThatNameTheTable) {
  SGD optimizer;
  const Array value = Array::zeros({3 * 2});
  const auto expect_error = [&](bool sparse, std::int64_t first, const Gradient& gradient, const std::string& text) {
    optimizer.attach({Slot{"table", {9, 2}, first, sparse, value, {}}});
    try {
      optimizer.update({gradient});
      ADD_FAILURE() << "no error: " << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("'table'"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  expect_error(true, 0, Array::zeros({6}), "dense gradient");
  expect_error(false, 0, rows_of({1}, 2, 1), "not sparse");
  expect_error(true, 0, rows_of({3}, 2, 1), "a gradient of row 3 given to the slot of rows [0, 3)");
  expect_error(true, 8, rows_of({3}, 2, 1), "row 3 given to the slot of rows [4, 7)");
  expect_error(true, 0, rows_of({1}, 3, 1), "f32[n, 2]");
}

TEST(SparseSlot, PiecesThatCutARowAreAnError) {
  SGD optimizer;
  EXPECT_THROW(optimizer.attach({Slot{"table", {5, 3}, 2, true, Array::zeros({3}), {}}}), Error);
}

}  // namespace
}  // namespace trireme::optim
