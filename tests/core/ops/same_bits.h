// Runs an op forward and backward with 1, 2 and 3 threads and expects the same bits each time.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme::test {

inline void expect_same_bits(const Array& a, const Array& b, const std::string& what) {
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape())) << what;
  EXPECT_EQ(std::memcmp(a.contiguous().bytes_data(), b.contiguous().bytes_data(), a.bytes()), 0)
      << what << ": bits differ";
}

// The result and the gradients of all f32 leaves made from `inputs`.
inline std::vector<Array> run_op(const OpFunction& op, const std::vector<Array>& inputs) {
  std::vector<Tensor> leaves;
  for (const Array& input : inputs) {
    leaves.push_back(Tensor::leaf(input.to(DType::f32)));
  }
  const Tensor result = op(leaves);
  std::vector<Array> out{result.array().clone()};
  result.backward(random_array(result.shape(), 5).to(DType::f32));
  for (const Tensor& leaf : leaves) {
    out.push_back(leaf.grad());
  }
  return out;
}

inline void expect_same_bits_for_any_threads(const OpFunction& op, const std::vector<Array>& inputs) {
  const std::vector<Array> one = run_op(op, inputs);
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const std::vector<Array> more = run_op(op, inputs);
    set_num_threads(1);
    for (std::size_t i = 0; i < one.size(); ++i) {
      expect_same_bits(one[i], more[i], std::to_string(threads) + " threads, array " + std::to_string(i));
    }
  }
}

}  // namespace trireme::test
