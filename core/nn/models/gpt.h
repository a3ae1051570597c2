// GPT-2 (Radford et al., 2019), with the names, shapes and orientation of Hugging Face's GPT2LMHeadModel: learned
// positions, LayerNorm before each branch (eps 1e-5), GELU with tanh, causal attention, head tied to wte.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/autograd/memory_trace.h"
#include "trireme/core/nn/dropout.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/layer_norm.h"
#include "trireme/core/nn/linear.h"

namespace trireme::nn {

struct GPTOptions {
  std::int64_t layers = 12;
  std::int64_t heads = 12;
  std::int64_t width = 768;
  std::int64_t context = 1024;
  std::int64_t vocab = 50257;
  double dropout = 0;  // of the embedding and of both branches of each block
};

// x [B, T, C] -> [B, T, C]: both branches of one layer, a unit. Parameters: ln_1, attn.c_attn, attn.c_proj, ln_2,
// mlp.c_fc, mlp.c_proj.
class GPTBlock final : public Module {
 public:
  explicit GPTBlock(const GPTOptions& options);
  Tensor forward(const Tensor& x) override;
  // The same with sizes: x of `rows` tokens, as the block is set now (training, activation checkpointing).
  TracedTensor trace(MemoryTrace& trace, const TracedTensor& x, std::int64_t rows) const;

 private:
  TracedTensor trace_body(MemoryTrace& trace, const TracedTensor& x, std::int64_t rows) const;

  std::int64_t width_;
  double dropout_;
  std::int64_t heads_;
  Child<LayerNorm> ln_1_;
  Child<Linear> c_attn_;
  Child<Linear> attn_c_proj_;
  Child<LayerNorm> ln_2_;
  Child<Linear> c_fc_;
  Child<Linear> mlp_c_proj_;
  Child<Dropout> attn_dropout_;
  Child<Dropout> mlp_dropout_;
};

class GPT final : public Module {
 public:
  // Raises Error (usage) if a size is not positive or width is not a multiple of heads.
  explicit GPT(const GPTOptions& options = {});

  // The mean cross-entropy of all tokens: tokens and targets [B, T] of i64, i32 or u8, T <= context. The logits are
  // never all held at once. Raises Error for ids outside the vocabulary.
  Tensor loss(const Array& tokens, const Array& targets);
  // [B, T] -> [B, T, vocab]
  Tensor logits(const Array& tokens);

  // What loss() and its backward keep in memory for `sequences` of `length` tokens, as the model is set now (training,
  // activation checkpointing).
  ActivationMemory activation_memory(std::int64_t sequences, std::int64_t length) const;

  const GPTOptions& options() const { return options_; }

 private:
  Tensor features(const Array& tokens);  // [B, T, C], normalized

  GPTOptions options_;
  Child<Embedding> wte_;
  Child<Embedding> wpe_;
  Child<Dropout> dropout_;
  std::vector<Child<GPTBlock>> blocks_;
  Child<LayerNorm> ln_f_;
};

}  // namespace trireme::nn
