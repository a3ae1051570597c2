// A recommender: will this person click? The model of Naumov et al., "Deep learning recommendation model for
// personalization and recommendation systems" (2019), with embedding tables of any size.
//
// Dense numbers go through the bottom perceptron and become a vector of `dim`; each category looks up a row of `dim`;
// these vectors interact by dot products (or are only put side by side); the top perceptron makes one logit of them.
// Parameters: embedding.weight [rows, dim] for all categories, or embedding.I.weight for each; bottom.0.weight,
// bottom.0.bias, bottom.2.*, top.0.*, top.2.*, top.4.*. The tables are marked sparse.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/autograd/memory_trace.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"

namespace trireme::nn {

enum class Interaction : std::uint8_t {
  dot,     // all pairs' dot products, behind the bottom's vector
  concat,  // the vectors behind each other
};

struct RecommenderOptions {
  std::int64_t rows = 100'000;  // of a table
  std::int64_t dim = 16;        // of an embedding
  std::int64_t categories = 8;  // columns of the data
  std::int64_t dense = 4;       // number columns
  bool own_tables = false;      // a table for each category, instead of one for all
  Interaction interaction = Interaction::dot;
  std::int64_t bottom = 64;  // hidden units of the bottom perceptron
  std::int64_t top = 128;    // and of the top one's first layer; its second has half as many
};

class Recommender final : public Module {
 public:
  // Raises Error (usage) if a size is not positive.
  explicit Recommender(const RecommenderOptions& options = {});

  // dense f32 [B, dense], categories i64 [B, categories] of numbers in [0, rows) -> logits [B].
  Tensor logits(const Array& dense, const Array& categories);
  // The mean log loss; labels f32 [B] of 0 and 1.
  Tensor loss(const Array& dense, const Array& categories, const Array& labels);

  const RecommenderOptions& options() const { return options_; }
  // What loss() and its backward keep in memory for so many items, the rows' gradients included.
  ActivationMemory activation_memory(std::int64_t items) const;

 private:
  std::int64_t inputs_of_top() const;
  Tensor look_up(const Array& categories);

  RecommenderOptions options_;
  std::vector<Child<Embedding>> tables_;
  Child<Sequential> bottom_, top_;
};

}  // namespace trireme::nn
