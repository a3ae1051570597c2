#include "trireme/core/nn/models/recommender.h"

#include <cmath>

#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/loss.h"
#include "trireme/core/ops/dot_interaction.h"
#include "trireme/core/ops/view.h"

namespace trireme::nn {
std::int64_t Recommender::inputs_of_top() const {
  const std::int64_t vectors = options_.categories + 1;
  return options_.interaction == Interaction::concat ? vectors * options_.dim
                                                     : options_.dim + vectors * (vectors - 1) / 2;
}

Recommender::Recommender(const RecommenderOptions& options) : options_(options) {
  require_usage(options.rows > 0 && options.dim > 0 && options.categories > 0 && options.dense > 0 &&
                    options.bottom > 0 && options.top > 1,
                "nn::Recommender: {} rows of {}, {} categories, {} dense columns, {} and {} hidden units given; "
                "positive numbers expected, and two units or more in the top",
                options.rows, options.dim, options.categories, options.dense, options.bottom, options.top);
  const double bound = 1 / std::sqrt(static_cast<double>(options.rows));
  const EmbeddingOptions table{.sparse = true, .init = Init::uniform(-bound, bound)};
  if (options.own_tables) {
    for (std::int64_t i = 0; i < options.categories; ++i) {
      tables_.push_back(add("embedding." + std::to_string(i), Embedding(options.rows, options.dim, table)));
    }
  } else {
    tables_.push_back(add("embedding", Embedding(options.rows, options.dim, table)));
  }
  bottom_ = add("bottom",
                Sequential(Linear(options.dense, options.bottom), ReLU(), Linear(options.bottom, options.dim), ReLU()));
  top_ = add("top", Sequential(Linear(inputs_of_top(), options.top), ReLU(), Linear(options.top, options.top / 2),
                               ReLU(), Linear(options.top / 2, 1)));
}

// [B, categories, dim].
Tensor Recommender::look_up(const Array& categories) {
  require(categories.dims() == 2 && categories.size(1) == options_.categories,
          "nn::Recommender: categories {} given, i64[B, {}] expected", categories, options_.categories);
  if (!options_.own_tables) {
    return tables_[0](categories);
  }
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < options_.categories; ++i) {
    rows.push_back(tables_[static_cast<std::size_t>(i)](categories.select(1, i)));
  }
  return ops::stack(rows, 1);
}

Tensor Recommender::logits(const Array& dense, const Array& categories) {
  const ForwardScope scope(*this);
  const Tensor rows = look_up(categories);
  const Tensor first = bottom_(dense);
  const std::int64_t items = dense.size(0);
  if (options_.interaction == Interaction::dot) {
    return ops::reshape(top_(ops::dot_interaction(first, rows)), {items});
  }
  const Tensor flat = ops::reshape(rows, {items, options_.categories * options_.dim});
  return ops::reshape(top_(ops::concat({first, flat}, 1)), {items});
}

Tensor Recommender::loss(const Array& dense, const Array& categories, const Array& labels) {
  return binary_cross_entropy_with_logits(logits(dense, categories), labels);
}

}  // namespace trireme::nn
