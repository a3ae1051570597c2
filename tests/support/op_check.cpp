#include "tests/support/op_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "trireme/core/autograd/grad_check.h"
#include "trireme/core/base/random.h"

namespace trireme::test {
namespace {

struct Run {
  Array result;
  std::vector<Array> gradients;  // undefined for inputs that are not differentiable
};

bool differentiable(const OpCheck& options, std::size_t input) {
  return options.differentiable.empty() || options.differentiable[input];
}

// A fixed direction turns any result into a scalar whose gradient exercises every element of the Jacobian.
Array direction(const Shape& shape, DType dtype) { return random_array(shape, 77, 0.5, 1.5).to(dtype); }

Run run(const OpFunction& op, const std::vector<Array>& inputs, const OpCheck& options) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    tensors.push_back(differentiable(options, i) ? Tensor::leaf(inputs[i]) : Tensor(inputs[i]));
  }
  const Tensor result = op(tensors);
  Run out{result.array().clone(), {}};
  if (result.requires_grad()) {
    result.backward(direction(result.shape(), result.dtype()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    out.gradients.push_back(differentiable(options, i) ? tensors[i].grad() : Array());
  }
  return out;
}

double largest(const std::vector<double>& values) {
  double most = 1;
  for (const double value : values) {
    most = std::max(most, std::abs(value));
  }
  return most;
}

void expect_near(const Array& got, const Array& expected, double tolerance, const std::string& what) {
  ASSERT_TRUE(got.defined()) << what << " is missing";
  ASSERT_EQ(to_string(got.shape()), to_string(expected.shape())) << what;
  const std::vector<double> a = got.to_vector<double>();
  const std::vector<double> b = expected.to_vector<double>();
  const double bound = tolerance * largest(b);
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], bound) << what << ", element " << i;
  }
}

void check_numerically(const OpFunction& op, const std::vector<Array>& inputs, const OpCheck& options) {
  GradCheckOptions check{.step = options.step, .tolerance = options.gradient_tolerance};
  for (std::size_t n = 0; n < inputs.size(); ++n) {
    check.constant.push_back(!differentiable(options, n));
  }
  const auto call = [&](std::span<const Tensor> tensors) { return op({tensors.begin(), tensors.end()}); };
  const GradCheckResult result = check_gradients(call, inputs, check);
  EXPECT_TRUE(result.ok) << result.message;
}

// The same values behind strides: stored transposed.
Array transposed_view(const Array& x) { return x.dims() < 2 ? x : x.transpose(-1, -2).clone().transpose(-1, -2); }

}  // namespace

Array random_array(const Shape& shape, std::uint64_t seed, double low, double high) {
  Array out = Array::empty(shape, DType::f64);
  const RandomStream stream(seed, "test values");
  for (std::int64_t i = 0; i < out.count(); ++i) {
    out.data<double>()[i] = low + (high - low) * stream.uniform(static_cast<std::uint64_t>(i));
  }
  return out;
}

void check_op(const OpFunction& op, const std::vector<Array>& inputs, const OpCheck& options) {
  const Run exact = run(op, inputs, options);
  check_numerically(op, inputs, options);

  std::vector<Array> narrow;
  std::vector<Array> strided;
  for (const Array& input : inputs) {
    narrow.push_back(input.dtype() == DType::f64 ? input.to(DType::f32) : input);
    strided.push_back(transposed_view(narrow.back()));
  }
  const Run single = run(op, narrow, options);
  const Run again = run(op, narrow, options);
  const Run view = options.non_contiguous ? run(op, strided, options) : single;
  expect_near(single.result, exact.result, options.f32_tolerance, "f32 result");
  EXPECT_EQ(std::memcmp(single.result.bytes_data(), again.result.bytes_data(), single.result.bytes()), 0)
      << "two runs differ";
  expect_near(view.result, exact.result, options.f32_tolerance, "result of non-contiguous inputs");
  for (std::size_t n = 0; n < inputs.size(); ++n) {
    if (differentiable(options, n)) {
      expect_near(single.gradients[n], exact.gradients[n], options.f32_tolerance,
                  "f32 gradient of input " + std::to_string(n));
      expect_near(view.gradients[n], exact.gradients[n], options.f32_tolerance,
                  "gradient of non-contiguous input " + std::to_string(n));
    }
  }
}

}  // namespace trireme::test
