#include "trireme/core/autograd/grad_check.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/random.h"

namespace trireme {
namespace {

class Checker {
 public:
  Checker(GradientFunction f, std::span<const Array> inputs, const GradCheckOptions& options)
      : f_(f), options_(options) {
    for (const Array& input : inputs) {
      values_.push_back(is_floating(input.dtype()) ? input.to(DType::f64).clone() : input);
    }
  }

  GradCheckResult run() {
    const std::vector<Array> analytic = analytic_gradients();
    GradCheckResult worst;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (differentiable(i)) {
        compare(i, analytic[i], worst);
      }
    }
    return worst;
  }

 private:
  bool differentiable(std::size_t input) const {
    const bool constant = input < options_.constant.size() && options_.constant[input];
    return !constant && is_floating(values_[input].dtype());
  }

  std::vector<Array> analytic_gradients() {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      tensors.push_back(differentiable(i) ? Tensor::leaf(values_[i]) : Tensor(values_[i]));
    }
    const Tensor result = f_(tensors);
    require(result.dtype() == DType::f64, "check_gradients: the function gave {}, f64 expected from f64 inputs",
            result.array());
    weights_ = Array::empty(result.shape(), DType::f64);
    const RandomStream random(options_.seed, "gradient check");
    for (std::int64_t i = 0; i < weights_.count(); ++i) {
      weights_.data<double>()[i] = 0.5 + random.uniform(static_cast<std::uint64_t>(i));
    }
    result.backward(weights_);
    std::vector<Array> gradients;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Array& given = differentiable(i) ? tensors[i].grad() : values_[i];
      gradients.push_back(given.defined() ? given : Array::zeros(values_[i].shape(), DType::f64));
    }
    return gradients;
  }

  double weighted_sum() const {
    const NoGrad guard;
    const Tensor result = f_(std::vector<Tensor>(values_.begin(), values_.end()));
    require(result.shape() == weights_.shape(), "check_gradients: the function gave {} once and now {}", weights_,
            result.array());
    const std::vector<double> elements = result.array().to_vector<double>();
    double sum = 0;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      sum += elements[i] * weights_.data<double>()[i];
    }
    return sum;
  }

  double difference(double& element) const {
    const double at = element;
    element = at + options_.step;
    const double above = weighted_sum();
    element = at - options_.step;
    const double below = weighted_sum();
    element = at;
    return (above - below) / (2 * options_.step);
  }

  void compare(std::size_t input, const Array& analytic, GradCheckResult& worst) {
    std::vector<double> numerical;
    double scale = 1;
    for (double& element : values_[input].span<double>()) {
      numerical.push_back(difference(element));
      scale = std::max(scale, std::abs(numerical.back()));
    }
    for (std::size_t i = 0; i < numerical.size(); ++i) {
      const double got = analytic.data<double>()[i];
      const double error = std::abs(got - numerical[i]);
      const bool fits = error <= options_.tolerance * scale;  // false for NaN
      if ((worst.ok && !fits) || (worst.ok == fits && error > worst.largest_error)) {
        worst = {fits, error, input, static_cast<std::int64_t>(i), got, numerical[i], {}};
      }
    }
    if (!worst.ok && worst.input == input) {
      worst.message = fmt::format("gradient of input {} {} at element {}: {} given, {} expected by finite differences",
                                  input, values_[input], worst.element, worst.analytic, worst.numerical);
    }
  }

  GradientFunction f_;
  const GradCheckOptions& options_;
  std::vector<Array> values_;
  Array weights_;
};

}  // namespace

GradCheckResult check_gradients(GradientFunction f, std::span<const Array> inputs, const GradCheckOptions& options) {
  return Checker(f, inputs, options).run();
}

}  // namespace trireme
