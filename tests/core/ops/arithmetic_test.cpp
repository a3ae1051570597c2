// Elementwise arithmetic: closed forms, broadcasting, numerical gradients, edges of the number line.
#include "trireme/core/ops/arithmetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Function {
  const char* name;
  Tensor (*op)(const Tensor&);
  double (*oracle)(double);
  double low;
  double high;
};

void PrintTo(const Function& function, std::ostream* out) { *out << function.name; }

class Elementary : public testing::TestWithParam<Function> {};

TEST_P(Elementary, GradientMatchesFiniteDifferences) {
  const Function& f = GetParam();
  check_op([&](const Inputs& in) { return f.op(in[0]); }, {random_array({3, 7}, 1, f.low, f.high)});
}

TEST_P(Elementary, ValuesMatchTheCLibraryInBothPrecisions) {
  const Function& f = GetParam();
  const Array x = random_array({1003}, 2, f.low, f.high);
  const std::vector<double> exact = f.op(x).array().to_vector<double>();
  const std::vector<float> single = f.op(x.to(DType::f32)).array().to_vector<float>();
  const std::vector<double> given = x.to_vector<double>();
  const std::vector<float> rounded = x.to(DType::f32).to_vector<float>();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const double expected = f.oracle(given[i]);
    ASSERT_NEAR(exact[i], expected, 1e-14 * std::max(1.0, std::abs(expected))) << given[i];
    const double expected_single = f.oracle(rounded[i]);
    ASSERT_NEAR(single[i], expected_single, 3e-7 * std::max(1.0, std::abs(expected_single))) << rounded[i];
  }
}

TEST_P(Elementary, BitsDoNotDependOnPositionOrLength) {
  const Function& f = GetParam();
  const Array x = random_array({70}, 3, f.low, f.high).to(DType::f32);
  const std::vector<float> whole = f.op(x).array().to_vector<float>();
  for (std::int64_t begin = 0; begin < 40; ++begin) {
    for (const std::int64_t length : {1, 2, 7, 16, 29}) {
      const std::vector<float> slice = f.op(x.narrow(0, begin, length)).array().to_vector<float>();
      for (std::size_t i = 0; i < slice.size(); ++i) {
        ASSERT_EQ(slice[i], whole[static_cast<std::size_t>(begin) + i]) << "slice at " << begin << " of " << length;
      }
    }
  }
}

TEST_P(Elementary, EmptyInputGivesEmptyResultAndGradient) {
  Tensor x = Tensor::leaf(Array::zeros({0, 3}));
  const Tensor y = GetParam().op(x);
  EXPECT_EQ(to_string(y.shape()), "[0, 3]");
  y.backward(Array::zeros({0, 3}));
  EXPECT_EQ(to_string(x.grad().shape()), "[0, 3]");
}

INSTANTIATE_TEST_SUITE_P(
    Ops, Elementary,
    testing::Values(
        Function{"neg", ops::neg, [](double x) { return -x; }, -2, 2},
        Function{"abs", ops::abs, [](double x) { return std::abs(x); }, 0.1, 3},
        Function{"abs_negative", ops::abs, [](double x) { return std::abs(x); }, -3, -0.1},
        Function{"exp", ops::exp, [](double x) { return std::exp(x); }, -3, 3},
        Function{"log", ops::log, [](double x) { return std::log(x); }, 0.2, 9},
        Function{"sqrt", ops::sqrt, [](double x) { return std::sqrt(x); }, 0.2, 9},
        Function{"tanh", ops::tanh, [](double x) { return std::tanh(x); }, -4, 4},
        Function{"sigmoid", ops::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -6, 6},
        Function{"silu", ops::silu, [](double x) { return x / (1 + std::exp(-x)); }, -6, 6},
        Function{"square", [](const Tensor& x) { return ops::pow(x, 2); }, [](double x) { return x * x; }, -2, 2},
        Function{"cube", [](const Tensor& x) { return ops::pow(x, 3); }, [](double x) { return x * x * x; }, -2, 2},
        Function{"power", [](const Tensor& x) { return ops::pow(x, 1.7); }, [](double x) { return std::pow(x, 1.7); },
                 0.3, 3},
        Function{"rsqrt", [](const Tensor& x) { return ops::pow(x, -0.5); }, [](double x) { return 1 / std::sqrt(x); },
                 0.3, 3},
        Function{"clamp", [](const Tensor& x) { return ops::clamp(x, -1, 1); },
                 [](double x) { return std::clamp(x, -1.0, 1.0); }, -2, 2},
        Function{"plus_number", [](const Tensor& x) { return 3 + x + 0.5; }, [](double x) { return x + 3.5; }, -2, 2},
        Function{"minus_number", [](const Tensor& x) { return 3 - (x - 0.5); }, [](double x) { return 3.5 - x; }, -2,
                 2},
        Function{"times_number", [](const Tensor& x) { return 2 * x * 3; }, [](double x) { return 6 * x; }, -2, 2},
        Function{"over_number", [](const Tensor& x) { return 3 / (x / 2); }, [](double x) { return 6 / x; }, 0.5, 2}),
    [](const auto& info) { return std::string(info.param.name); });

struct Pair {
  const char* name;
  Tensor (*op)(const Tensor&, const Tensor&);
  double (*oracle)(double, double);
};

void PrintTo(const Pair& pair, std::ostream* out) { *out << pair.name; }

class Binary : public testing::TestWithParam<Pair> {};

TEST_P(Binary, GradientMatchesFiniteDifferencesForEveryKindOfBroadcast) {
  const Shape shapes[][2] = {{{3, 4}, {3, 4}},       {{3, 4}, {4}},      {{3, 1}, {3, 4}},          {{}, {2, 3}},
                             {{2, 1, 3}, {1, 4, 1}}, {{1}, {5}},         {{2, 3, 4, 5}, {3, 1, 1}}, {{4, 1}, {1, 3}},
                             {{2, 1, 1, 3}, {2, 3}}, {{1, 1}, {1, 1, 1}}};
  for (const auto& pair : shapes) {
    SCOPED_TRACE(to_string(pair[0]) + " and " + to_string(pair[1]));
    check_op([](const Inputs& in) { return GetParam().op(in[0], in[1]); },
             {random_array(pair[0], 11, 0.5, 2), random_array(pair[1], 12, 2.5, 4)});
  }
}

TEST_P(Binary, ValuesMatchAnElementwiseLoop) {
  const Array a = random_array({5, 1, 33}, 3, -2, 2);
  const Array b = random_array({7, 33}, 4, 0.5, 2);
  const Array c = GetParam().op(a, b).array();
  ASSERT_EQ(to_string(c.shape()), "[5, 7, 33]");
  for (std::int64_t i = 0; i < c.count(); ++i) {
    const double x = a.data<double>()[i / (7 * 33) * 33 + i % 33];
    const double y = b.data<double>()[i % (7 * 33)];
    ASSERT_EQ(c.data<double>()[i], GetParam().oracle(x, y)) << i;
  }
}

TEST_P(Binary, ThreadsDoNotChangeBits) {
  const Array a = random_array({50, 1, 300}, 3, 0.5, 2).to(DType::f32);
  const Array b = random_array({5, 300}, 4, 0.5, 2).to(DType::f32);
  const std::vector<float> alone = GetParam().op(a, b).array().to_vector<float>();
  set_num_threads(3);
  const std::vector<float> together = GetParam().op(a, b).array().to_vector<float>();
  set_num_threads(1);
  EXPECT_EQ(alone, together);
}

INSTANTIATE_TEST_SUITE_P(
    Ops, Binary,
    testing::Values(Pair{"add", ops::add, [](double a, double b) { return a + b; }},
                    Pair{"sub", ops::sub, [](double a, double b) { return a - b; }},
                    Pair{"mul", ops::mul, [](double a, double b) { return a * b; }},
                    Pair{"div", ops::div, [](double a, double b) { return a / b; }},
                    Pair{"maximum", ops::maximum, [](double a, double b) { return std::max(a, b); }},
                    Pair{"minimum", ops::minimum, [](double a, double b) { return std::min(a, b); }}),
    [](const auto& info) { return std::string(info.param.name); });

std::vector<double> values(const Tensor& tensor) { return tensor.array().to_vector<double>(); }
Tensor of(const std::vector<double>& numbers) {
  return Array::from(numbers, {static_cast<std::int64_t>(numbers.size())});
}

TEST(Arithmetic, LogarithmAtTheEdges) {
  const std::vector<double> y = values(ops::log(of({0, -0.0, -1, kInf, -kInf, kNan, 1})));
  EXPECT_EQ(y[0], -kInf);
  EXPECT_EQ(y[1], -kInf);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], kInf);
  EXPECT_TRUE(std::isnan(y[4]));
  EXPECT_TRUE(std::isnan(y[5]));
  EXPECT_EQ(y[6], 0);
}

TEST(Arithmetic, ExponentialsSaturateAndKeepNan) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x(of({-kInf, -1e4, 1e4, kInf, kNan}).array().to(dtype));
    const std::vector<double> e = values(ops::exp(x));
    const std::vector<double> s = values(ops::sigmoid(x));
    const std::vector<double> t = values(ops::tanh(x));
    EXPECT_EQ((std::vector<double>{e[0], e[1], e[2], e[3]}), (std::vector<double>{0, 0, kInf, kInf}));
    EXPECT_TRUE(s[0] >= 0 && s[0] < 1e-34 && s[1] >= 0 && s[1] < 1e-34);
    EXPECT_EQ((std::vector<double>{s[2], s[3]}), (std::vector<double>{1, 1}));
    EXPECT_EQ((std::vector<double>{t[0], t[1], t[2], t[3]}), (std::vector<double>{-1, -1, 1, 1}));
    EXPECT_TRUE(std::isnan(e[4]) && std::isnan(s[4]) && std::isnan(t[4]));
  }
}

TEST(Arithmetic, MaximumKeepsNanOfEitherSideAndSplitsTheGradientOfTies) {
  const std::vector<double> m = values(ops::maximum(of({kNan, 1, 2}), of({1, kNan, 2})));
  EXPECT_TRUE(std::isnan(m[0]) && std::isnan(m[1]));
  Tensor a = Tensor::leaf(Array::full({1}, 2));
  Tensor b = Tensor::leaf(Array::full({1}, 2));
  ops::maximum(a, b).backward();
  EXPECT_EQ(a.grad().item(), 0.5);
  EXPECT_EQ(b.grad().item(), 0.5);
}

TEST(Arithmetic, ClampPassesTheGradientOnTheBoundsOnly) {
  Tensor x = Tensor::leaf(of({-2, -1, 0, 1, 2}).array());
  ops::clamp(x, -1, 1).backward(Array::full({5}, 1, DType::f64));
  EXPECT_EQ(x.grad().to_vector<double>(), (std::vector<double>{0, 1, 1, 1, 0}));
  EXPECT_THROW(ops::clamp(x, 1, -1), Error);
}

TEST(Arithmetic, WhereSelectsAndRoutesGradients) {
  const Array condition = Array::from(std::vector<std::uint8_t>{1, 0, 3}, {3});
  check_op([&](const Inputs& in) { return ops::where(condition, in[0], in[1]); },
           {random_array({2, 3}, 1), random_array({3}, 2)});
  EXPECT_EQ(values(ops::where(condition, of({1, 2, 3}), of({7, 8, 9}))), (std::vector<double>{1, 8, 3}));
}

TEST(Arithmetic, AnInputUsedTwiceGetsBothGradients) {
  Tensor x = Tensor::leaf(Array::full({1}, 3));
  (x * x + x).backward();
  EXPECT_EQ(x.grad().item(), 7);
}

TEST(Arithmetic, SavedInputsSurviveGradientsThatAreWrittenInPlace) {
  Tensor x = Tensor::leaf(of({0.5, 1.5}).array());
  const Tensor y = ops::exp(x);
  const Tensor z = ops::neg(y) * y;
  z.backward(Array::full({2}, 1, DType::f64));
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(x.grad().data<double>()[i], -2 * std::exp(2 * x.array().data<double>()[i]), 1e-12);
    EXPECT_NEAR(y.array().data<double>()[i], std::exp(x.array().data<double>()[i]), 1e-13);
  }
}

TEST(Arithmetic, WrongInputsAreErrorsThatNameOpAndInputs) {
  const Tensor a(Array::zeros({2, 3}));
  const auto message = [](auto f) {
    try {
      f();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message([&] {
              ops::mul(a, Array::zeros({2, 4}));
            }).find("mul: shapes [2, 3] and [2, 4]"),
            std::string::npos);
  EXPECT_NE(message([&] { ops::add(a, Array::zeros({2, 3}, DType::f64)); }).find("f64[2, 3]"), std::string::npos);
  EXPECT_NE(message([&] { ops::exp(Array::zeros({2}, DType::i32)); }).find("i32"), std::string::npos);
}

}  // namespace
}  // namespace trireme
