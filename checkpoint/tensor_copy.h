// Which tensors of a source are copied, under which names and as which types: the decisions of `trireme ckpt merge`
// and `convert`. Pure functions; the copying is tensor_output.h.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trireme/checkpoint/index.h"
#include "trireme/checkpoint/tensor_names.h"
#include "trireme/core/base/dtype.h"

namespace trireme::checkpoint {

enum class CopyTarget {
  model_files,  // the model's own names; the optimizer's state, if wanted, as "optimizer.STATE.NAME"
  checkpoint,   // "model.NAME", "buffer.NAME", "optimizer.STATE.NAME"
};
enum class BodyPrefix { keep, add, remove };  // "transformer.", as GPT2LMHeadModel has it and GPT2Model does not

struct CopyRules {
  CopyTarget target = CopyTarget::model_files;
  bool optimizer = false;           // its state too
  std::optional<DType> dtype = {};  // of floating-point tensors; nothing: as they are
  BodyPrefix body = BodyPrefix::keep;
  std::vector<std::pair<std::string, std::string>> renames = {};  // (regular expression, replacement), in this order
  std::vector<std::string> only = {};                             // patterns as of a shell, of whole names; empty: all
  std::vector<std::string> skip = {};
};

struct TensorCopy {
  const SavedTensor* from = nullptr;
  std::string name;
  DType dtype = DType::f32;

  std::uint64_t bytes() const { return from->elements * size_of(dtype); }
};

// Whether all names are a checkpoint's ("model.", "buffer.", "optimizer."). "model." may also be how the names of
// somebody else's model begin: it says what a tensor is only where every name says so.
bool has_kinds(std::span<const SavedTensor> tensors);
// The parts of a name of such a set, or of another (`kinds` false), where only "optimizer." is a kind.
TensorName split_saved_name(const std::string& name, bool kinds);

// In the order of `tensors`, which must outlive the result. Rules about names see the model's own ones; patterns are
// compared with those and with the names as they are saved. Raises Error for a dtype that Arrays do not have, a pattern
// that fits nothing, a bad expression, and when nothing would be copied.
std::vector<TensorCopy> plan_copies(std::span<const SavedTensor> tensors, const CopyRules& rules);

}  // namespace trireme::checkpoint
