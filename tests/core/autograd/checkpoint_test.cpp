// Activation checkpointing of any function: the same gradients as without, bit by bit, and nothing done twice that the
// outside could see.
#include "trireme/core/autograd/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "tests/core/ops/same_bits.h"
#include "tests/support/op_check.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/dropout.h"
#include "trireme/core/ops/linear.h"
#include "trireme/core/ops/reduce.h"

namespace trireme {
namespace {

Tensor leaf_of(const Shape& shape, std::uint64_t seed) {
  return Tensor::leaf(test::random_array(shape, seed).to(DType::f32));
}

// Runs `part` as it is (false) or checkpointed (true).
using Wrap = std::function<Tensor(std::function<Tensor()>)>;
using Network = std::function<Tensor(const std::vector<Tensor>& leaves, const Wrap& part)>;

std::vector<Array> gradients_of(const Network& network, bool run_again, bool last_frozen) {
  std::vector<Tensor> leaves;
  for (std::uint64_t i = 0; i < 4; ++i) {
    leaves.push_back(leaf_of({5, 5}, i));
  }
  leaves.back().set_requires_grad(!last_frozen);
  const Wrap wrap = [&](const std::function<Tensor()>& part) { return run_again ? checkpointed(part) : part(); };
  Tensor result = ops::mean(network(leaves, wrap));
  std::vector<Array> out{result.array()};
  result.backward();
  for (const Tensor& leaf : leaves) {
    out.push_back(leaf.grad().defined() ? leaf.grad() : Array::full({1}, -1));
  }
  return out;
}

void expect_same_gradients(const Network& network) {
  for (const bool frozen : {false, true}) {
    const std::vector<Array> plain = gradients_of(network, false, frozen);
    const std::vector<Array> again = gradients_of(network, true, frozen);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      test::expect_same_bits(plain[i], again[i], "array " + std::to_string(i) + (frozen ? ", last leaf frozen" : ""));
    }
  }
}

Tensor product(const Tensor& x, const Tensor& weight) { return ops::tanh(ops::linear(x, weight, Tensor())); }

TEST(Checkpoint, OnePartHasTheGradientsOfItsOps) {
  expect_same_gradients([](const auto& w, const Wrap& part) {
    const Tensor x = product(w[0], w[1]);
    return product(part([=] { return x + product(product(x, w[2]), w[3]); }), w[1]);
  });
}

TEST(Checkpoint, APartWhoseInputNeedsNoGradientStillGivesThoseOfItsLeaves) {
  expect_same_gradients([](const auto& w, const Wrap& part) {
    const Tensor data(test::random_array({5, 5}, 9).to(DType::f32));
    return w[0] + part([=] { return product(product(data, w[1]), w[3]); });
  });
}

TEST(Checkpoint, LeavesAndResultsUsedInsideAndOutsideAreAddedToInTheSameOrder) {
  expect_same_gradients([](const auto& w, const Wrap& part) {
    const Tensor x = product(w[0], w[1]);
    const Tensor first = part([=] { return x * 3 + product(x, w[2]) + product(w[3], x); });
    const Tensor second = part([=] { return first + product(x, w[2]) * x; });
    return second * x + product(x, w[2]) * first + product(w[0], w[2]);
  });
}

TEST(Checkpoint, MayBeNested) {
  expect_same_gradients([](const auto& w, const Wrap& part) {
    const Tensor x = product(w[0], w[1]);
    return part([=] {
             const Tensor y = part([=] { return x + part([=] { return product(x, w[2]) * w[1]; }); });
             return product(y, w[3]) + part([=] { return product(y, w[2]); });
           }) +
           x;
  });
}

TEST(Checkpoint, APartWithMoreLeavesThanANodeHasInputs) {
  const auto run = [](bool run_again) {
    std::vector<Tensor> many;
    for (std::uint64_t i = 0; i < 20; ++i) {
      many.push_back(leaf_of({3, 3}, i));
    }
    const auto part = [many] {
      Tensor x = many[0];
      for (const Tensor& leaf : many) {
        x = product(x, leaf) + leaf;
      }
      return ops::mean(x);
    };
    (run_again ? checkpointed(part) : part()).backward();
    std::vector<Array> gradients;
    for (const Tensor& leaf : many) {
      gradients.push_back(leaf.grad());
    }
    return gradients;
  };
  const std::vector<Array> plain = run(false);
  const std::vector<Array> again = run(true);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    test::expect_same_bits(plain[i], again[i], std::to_string(i));
  }
}

TEST(Checkpoint, SeveralPassesAccumulate) {
  const auto run = [](bool run_again) {
    const Tensor w = leaf_of({5, 5}, 1);
    const auto part = [w] { return ops::mean(product(w, w)); };
    for (int pass = 0; pass < 3; ++pass) {
      (run_again ? checkpointed(part) : part()).backward();
    }
    return w.grad();
  };
  test::expect_same_bits(run(false), run(true), "w");
}

TEST(Checkpoint, EachLeafIsReadyOnceWhenThePartsThatUseItHaveRunAndNotAtTheEnd) {
  std::vector<std::string> order;
  const auto told = [&order](const Tensor& x, const char* name) {
    return record("told", x.array(), {&x}, [&order, name](const Array& gradient, Gradients& gradients) {
      order.push_back(name);
      gradients.add(0, gradient);
    });
  };
  Tensor lower = leaf_of({2, 2}, 1);
  Tensor upper = leaf_of({2, 2}, 2);
  Tensor twice = leaf_of({2, 2}, 3);
  Tensor unused = leaf_of({2, 2}, 4);
  lower.leaf_node().set_ready_hook([&] { order.push_back("lower ready"); });
  upper.leaf_node().set_ready_hook([&] { order.push_back("upper ready"); });
  twice.leaf_node().set_ready_hook([&] { order.push_back("twice ready"); });
  unused.leaf_node().set_ready_hook([&] { order.push_back("unused ready"); });
  const Tensor x = told(lower, "below");
  const Tensor y = checkpointed([&told, x, twice] { return told(x * twice, "first part"); });
  const Tensor z = checkpointed([&told, y, twice, upper, unused] {
    const Tensor thrown_away = unused * 2;
    return told(y * twice * upper, "second part");
  });
  ops::mean(z).backward();
  EXPECT_EQ(order, (std::vector<std::string>{"second part", "upper ready", "first part", "twice ready", "below",
                                             "lower ready"}));
  EXPECT_FALSE(unused.grad().defined());
}

TEST(Checkpoint, RandomOpsDrawTheSameInstancesAgainAndCountOnlyOnce) {
  for (const bool nested : {false, true}) {
    std::uint64_t calls = 100;
    std::vector<std::uint64_t> drawn;
    const auto noisy = [&](const Tensor& x) {
      const std::uint64_t instance = op_instance([&] { return calls++; });
      drawn.push_back(instance);
      return ops::dropout(x, 0.5, instance);
    };
    const auto run = [&](bool run_again) {
      calls = 100;
      drawn.clear();
      const Tensor w = leaf_of({16, 16}, 1);
      const auto inner = [&noisy, w] { return noisy(w) * noisy(w); };
      const auto part = [&, w] {
        Tensor x = noisy(w);
        for (int i = 0; i < 9; ++i) {
          x = x + (run_again && nested ? checkpointed(inner) : inner());
        }
        return noisy(x);
      };
      ops::mean(noisy(run_again ? checkpointed(part) : part())).backward();
      EXPECT_EQ(calls, 121u);
      return w.grad();
    };
    const Array plain = run(false);
    const std::vector<std::uint64_t> once = drawn;
    test::expect_same_bits(plain, run(true), "w");
    EXPECT_TRUE(std::equal(once.begin(), once.end(), drawn.begin()));
    EXPECT_EQ(drawn.size(), nested ? 21u + 20u + 18u : 21u + 20u);
  }
}

TEST(Checkpoint, NumbersFromElsewhereAreFetchedOnceAndTheSameAgain) {
  for (const bool nested : {false, true}) {
    int fetches = 0;
    std::vector<double> seen;
    const Tensor w = leaf_of({4}, 1);
    const auto scaled = [&](const Tensor& x) {
      std::array<double, 5> numbers{};
      fetch_once(numbers, [&] { numbers.fill(++fetches + 0.5); });
      seen.push_back(numbers[4]);
      return x * static_cast<float>(numbers[0]);
    };
    const auto part = [&, w] {
      Tensor x = w;
      for (int i = 0; i < 3; ++i) {
        x = nested ? checkpointed([&scaled, x] { return scaled(x); }) : scaled(x);
      }
      return x;
    };
    ops::sum(checkpointed(part)).backward();
    EXPECT_EQ(fetches, 3);
    EXPECT_EQ(w.grad().to_vector<float>(), (std::vector<float>(4, 1.5F * 2.5F * 3.5F)));
    EXPECT_EQ(std::vector<double>(seen.begin(), seen.begin() + 6), (std::vector<double>{1.5, 2.5, 3.5, 1.5, 2.5, 3.5}));
    EXPECT_EQ(seen.size(), nested ? 9U : 6U);
  }
}

TEST(Checkpoint, TheSecondRunSeesTheContextOfTheFirst) {
  std::vector<std::int64_t> seen;
  const Tensor w = leaf_of({2}, 1);
  const auto part = [&seen, w] {
    seen.push_back(step_context().step * 100 + step_context().leaf);
    return w * 2;
  };
  step_context().step = 3;
  step_context().leaf = 4;
  const Tensor first = checkpointed(part);
  step_context().leaf = 5;
  const Tensor second = checkpointed(part);
  step_context().step = 9;
  ops::sum(second + first).backward();
  EXPECT_EQ(seen, (std::vector<std::int64_t>{304, 305, 305, 304}));
  EXPECT_EQ(step_context().step, 9);
  EXPECT_EQ(step_context().leaf, 5);
  EXPECT_TRUE(step_context().recording);
  EXPECT_EQ(step_context().second_run, nullptr);
  step_context() = {};
}

TEST(Checkpoint, UnderNoGradItIsAPlainCall) {
  int calls = 0;
  const Tensor w = leaf_of({2}, 1);
  const NoGrad guard;
  const Tensor y = checkpointed([&] {
    ++calls;
    EXPECT_EQ(step_context().first_run, nullptr);
    return w * 2;
  });
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(calls, 1);
}

TEST(Checkpoint, WhatIsNotRecordedInsideIsNotWaitedFor) {
  const Tensor w = leaf_of({2}, 1);
  const Tensor watched = leaf_of({2}, 2);
  const Tensor y = checkpointed([&] {
    {
      const NoGrad guard;
      (void)(watched * 2);
    }
    return w * 2;
  });
  int calls = 0;
  watched.leaf_node().set_ready_hook([&] { ++calls; });
  ops::sum(y + watched).backward();
  EXPECT_EQ(watched.grad().to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(calls, 1);
}

TEST(Checkpoint, NothingThatNeedsAGradientMeansNoHistory) {
  Tensor frozen = leaf_of({2}, 1);
  frozen.set_requires_grad(false);
  EXPECT_FALSE(checkpointed([&] { return frozen * 2; }).requires_grad());
}

TEST(Checkpoint, APartThatReturnsWhatItWasGivenIsLeftAlone) {
  int calls = 0;
  const Tensor w = leaf_of({2}, 1);
  const Tensor x = w * 3;
  for (const Tensor& given : {x, w}) {
    const Tensor y = checkpointed([&] {
      ++calls;
      return given;
    });
    EXPECT_EQ(&y.array(), &given.array());
  }
  ops::sum(checkpointed([&] { return x; })).backward();
  EXPECT_EQ(w.grad().to_vector<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(calls, 2);
}

TEST(Checkpoint, ALossKeepsItsWeight) {
  const Tensor w = leaf_of({2}, 1);
  const Tensor loss = checkpointed([=] { return ops::sum(w).set_weight(7, true); });
  EXPECT_EQ(loss.weight(), 7);
  EXPECT_TRUE(loss.weight_depends_on_data());
}

TEST(Checkpoint, AnErrorInEitherRunLeavesTheThreadAsItWas) {
  const Tensor w = leaf_of({2}, 1);
  bool fails = true;
  const auto part = [&fails, w] {
    require(!fails, "the part fails");
    return w * 2;
  };
  const auto expect_clean = [] {
    EXPECT_TRUE(step_context().recording);
    EXPECT_FALSE(step_context().recording_later);
    EXPECT_EQ(step_context().first_run, nullptr);
    EXPECT_EQ(step_context().second_run, nullptr);
  };
  EXPECT_THROW(checkpointed(part), Error);
  expect_clean();
  fails = false;
  const Tensor y = ops::sum(checkpointed(part));
  fails = true;
  EXPECT_THROW(y.backward(), Error);
  expect_clean();
  fails = false;
  ops::sum(checkpointed(part)).backward();
  EXPECT_EQ(w.grad().to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(Checkpoint, APartThatDoesSomethingElseTheSecondTimeIsAnError) {
  const Tensor w = leaf_of({4}, 1);
  int run = 0;
  const Tensor shape = checkpointed([&] { return ++run == 1 ? w * 2 : ops::sum(w); });
  EXPECT_THAT(test::error_of([&] { ops::sum(shape).backward(); }), testing::HasSubstr("its first f32[4]"));
  run = 0;
  const Tensor draws = checkpointed([&] {
    Tensor x = w * 1;
    for (int i = 0; i <= run; ++i) {
      x = ops::dropout(x, 0.5, op_instance([] { return 1; }));
    }
    ++run;
    return x;
  });
  EXPECT_THAT(test::error_of([&] { ops::sum(draws).backward(); }), testing::HasSubstr("more random ops"));
  run = 0;
  const Tensor asks = checkpointed([&] {
    std::vector<double> numbers(static_cast<std::size_t>(++run));
    fetch_once(numbers, [] {});
    return w * 1;
  });
  EXPECT_THAT(test::error_of([&] { ops::sum(asks).backward(); }), testing::HasSubstr("more numbers from other ranks"));
}

TEST(Checkpoint, IsWalkedOnceLikeEveryTape) {
  const Tensor w = leaf_of({2}, 1);
  const Tensor y = ops::sum(checkpointed([=] { return w * 2; }));
  y.backward();
  EXPECT_THROW(y.backward(), Error);
}

}  // namespace
}  // namespace trireme
