#include "trireme/core/nn/models/gpt.h"

#include <cmath>
#include <string>

#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/attention.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/gelu.h"
#include "trireme/core/ops/view.h"

namespace trireme::nn {
namespace {

constexpr double kDeviation = 0.02;

// GPT-2's Conv1D: weight [in, out], bias zero.
Linear projection(std::int64_t in, std::int64_t out, double deviation) {
  return Linear(
      in, out,
      {.layout = ops::WeightLayout::in_out, .weight_init = Init::normal(0, deviation), .bias_init = Init::constant(0)});
}

void check(const GPTOptions& o) {
  require_usage(o.layers > 0 && o.heads > 0 && o.width > 0 && o.context > 0 && o.vocab > 0,
                "nn::GPT: layers {}, heads {}, width {}, context {}, vocab {} given, positive numbers expected",
                o.layers, o.heads, o.width, o.context, o.vocab);
  require_usage(o.layers <= 10000, "nn::GPT: {} layers given, at most 10000 supported", o.layers);
  require_usage(o.width % o.heads == 0, "nn::GPT: width {} is not a multiple of {} heads; choose another of the two",
                o.width, o.heads);
}

}  // namespace

// Residual projections start smaller, so that the sum over 2 L branches keeps its variance.
GPTBlock::GPTBlock(const GPTOptions& o) : width_(o.width), dropout_(o.dropout), heads_(o.heads) {
  mark_as_unit();
  const double residual = kDeviation / std::sqrt(2.0 * static_cast<double>(o.layers));
  ln_1_ = add("ln_1", LayerNorm(o.width));
  c_attn_ = add("attn.c_attn", projection(o.width, 3 * o.width, kDeviation));
  attn_c_proj_ = add("attn.c_proj", projection(o.width, o.width, residual));
  ln_2_ = add("ln_2", LayerNorm(o.width));
  c_fc_ = add("mlp.c_fc", projection(o.width, 4 * o.width, kDeviation));
  mlp_c_proj_ = add("mlp.c_proj", projection(4 * o.width, o.width, residual));
  attn_dropout_ = add("attn.dropout", Dropout(o.dropout));
  mlp_dropout_ = add("mlp.dropout", Dropout(o.dropout));
}

Tensor GPTBlock::forward(const Tensor& x) {
  const Tensor attended = ops::causal_self_attention(c_attn_(ln_1_(x)), heads_);
  const Tensor middle = x + attn_dropout_(attn_c_proj_(attended));
  return middle + mlp_dropout_(mlp_c_proj_(ops::gelu(c_fc_(ln_2_(middle)))));
}

GPT::GPT(const GPTOptions& options) : options_(options) {
  check(options);
  const EmbeddingOptions table{.init = Init::normal(0, kDeviation)};
  wte_ = add("transformer.wte", Embedding(options.vocab, options.width, table));
  wpe_ = add("transformer.wpe", Embedding(options.context, options.width, table));
  dropout_ = add("transformer.dropout", Dropout(options.dropout));
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    blocks_.push_back(add("transformer.h." + std::to_string(layer), GPTBlock(options)));
  }
  ln_f_ = add("transformer.ln_f", LayerNorm(options.width));
}

Tensor GPT::features(const Array& tokens) {
  if (tokens.dims() != 2 || tokens.size(1) > options_.context) [[unlikely]] {
    fail("nn::GPT: tokens {} given, [batch, at most {}] expected", describe(tokens), options_.context);
  }
  const Tensor positions = ops::narrow(wpe_->weight(), 0, 0, tokens.size(1));
  Tensor x = dropout_(wte_(tokens) + positions);
  for (const Child<GPTBlock>& block : blocks_) {
    x = block(x);
  }
  return ln_f_(x);
}

Tensor GPT::loss(const Array& tokens, const Array& targets) {
  if (!(targets.shape() == tokens.shape())) [[unlikely]] {
    fail("nn::GPT::loss: targets {} given for tokens {}, the same shape expected", describe(targets), describe(tokens));
  }
  const ForwardScope scope(*this);
  const Tensor rows = ops::reshape(features(tokens), {tokens.count(), options_.width});
  return ops::linear_cross_entropy(rows, wte_->weight(), targets.flatten());
}

Tensor GPT::logits(const Array& tokens) {
  const ForwardScope scope(*this);
  return ops::linear(features(tokens), wte_->weight(), Tensor());
}

}  // namespace trireme::nn
