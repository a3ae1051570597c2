// Embedding: a table whose rows are chosen by index.
#pragma once

#include <cstdint>

#include "trireme/core/nn/hooks.h"
#include "trireme/core/ops/embedding.h"

namespace trireme::nn {

struct EmbeddingOptions {
  // The gradient is the rows that the step's indices name, and the optimizer leaves all others alone (lazy updates: no
  // decay, no momentum). A step then costs what it touches, whatever the size of the table.
  bool sparse = false;
  Init init = Init::normal(0, 1);
};

// indices [..] (i64, i32 or u8) -> [.., dim]. Parameter: weight [rows, dim].
class Embedding final : public Module {
 public:
  Embedding(std::int64_t rows, std::int64_t dim, const EmbeddingOptions& options = {}) {
    require_usage(rows > 0 && dim > 0, "nn::Embedding: {} rows of {} given, positive numbers expected", rows, dim);
    weight_ = add_parameter("weight", {rows, dim}, options.init, DType::f32, options.sparse);
  }
  Tensor operator()(const Array& indices) {
    const ForwardScope scope(*this);
    return ops::embedding(weight_, indices);
  }
  const Tensor& weight() const { return weight_; }

 private:
  Tensor weight_;
};

}  // namespace trireme::nn
