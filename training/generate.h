// Text from a language model over bytes: one byte after the other, each drawn from what the model expects next.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "trireme/core/array/array.h"
#include "trireme/core/base/random.h"

namespace trireme::training {

// The token that a draw in [0, 1) picks from softmax(logits / temperature); 0 takes the likeliest. Logits that are not
// numbers are never picked; with none left it is token 0.
std::int64_t pick_token(std::span<const float> logits, double temperature, double draw);

struct GenerateOptions {
  std::int64_t length = 200;
  std::int64_t context = 64;  // the model sees at most so many of the last tokens
  double temperature = 0.8;
  std::uint64_t seed = 0;
  std::string prompt = "\n";  // not part of the result; at least one byte
};

// `next_logits` maps tokens i64 [1, t] to the logits f32 [V] of the token after them. Tokens above 255 are no bytes and
// are never drawn. The same options and model give the same text.
std::string generate_text(const std::function<Array(const Array& tokens)>& next_logits, const GenerateOptions& options);

// For a terminal: bytes that are neither printable ASCII nor white space become '?'.
std::string printable(const std::string& text);

}  // namespace trireme::training
