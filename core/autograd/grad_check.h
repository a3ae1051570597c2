// Checks the gradients of a function against finite differences: for whoever writes an op or a loss of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/autograd/tensor.h"

namespace trireme {

// A non-owning reference to a callable Tensor(std::span<const Tensor>); valid for the call it is passed to.
class GradientFunction {
 public:
  template <class F>
  GradientFunction(const F& f)  // NOLINT(google-explicit-constructor): a parameter type, made from lambdas
      : object_(&f), call_([](const void* object, std::span<const Tensor> inputs) -> Tensor {
          return (*static_cast<const F*>(object))(inputs);
        }) {}
  Tensor operator()(std::span<const Tensor> inputs) const { return call_(object_, inputs); }

 private:
  const void* object_;
  Tensor (*call_)(const void*, std::span<const Tensor>);
};

struct GradCheckOptions {
  double step = 1e-4;       // of the central difference
  double tolerance = 1e-6;  // |numerical - analytic| <= tolerance * max(1, largest numerical gradient of the input)
  std::uint64_t seed = 1;   // of the random weights that turn a result of any shape into one number
  // Inputs that are not differentiated (true), by position; shorter than the inputs: the others are.
  std::vector<bool> constant = {};
};

struct GradCheckResult {
  bool ok = true;
  double largest_error = 0;  // |numerical - analytic| where it is worst
  std::size_t input = 0;     // where that is
  std::int64_t element = 0;
  double analytic = 0;
  double numerical = 0;
  std::string message;  // says all of this; empty if ok
};

// Runs f twice for each element of each input, in f64 (inputs of another floating dtype are converted; integers stay).
// f must be a pure function: with the same inputs, the same result. Raises Error if f gives another shape on another
// run, or a result without history. Not for hot paths.
//
//   const GradCheckResult check = check_gradients(
//       [](std::span<const Tensor> in) { return ops::sum(in[0] * in[1]); }, {a, b});
//   if (!check.ok) log::error("{}", check.message);
GradCheckResult check_gradients(GradientFunction f, std::span<const Array> inputs,
                                const GradCheckOptions& options = {});
inline GradCheckResult check_gradients(GradientFunction f, std::initializer_list<Array> inputs,
                                       const GradCheckOptions& options = {}) {
  return check_gradients(f, std::span<const Array>(inputs.begin(), inputs.size()), options);
}

}  // namespace trireme
