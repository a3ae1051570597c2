// The names of a checkpoint's tensors, taken apart: "optimizer.exp_avg." + "transformer.wte.weight".
#pragma once

#include <string>
#include <string_view>

namespace trireme::checkpoint {

inline constexpr std::string_view kModelKind = "model.";          // parameters
inline constexpr std::string_view kBufferKind = "buffer.";        // what a model has beside them
inline constexpr std::string_view kOptimizerKind = "optimizer.";  // then the state's own name and a dot
// What Hugging Face's GPT2LMHeadModel puts before the names of its body, and GPT2Model does not.
inline constexpr std::string_view kBodyPrefix = "transformer.";

struct TensorName {
  std::string_view kind;  // "model.", "buffer.", "optimizer.STATE.", or "" for a name of none
  std::string_view own;   // what the model calls it
};
// Views into `name`.
TensorName split_name(std::string_view name);

}  // namespace trireme::checkpoint
