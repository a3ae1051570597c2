// A whole model in one safetensors file, for --export and --init and for other programs. No shards, no manifest: the
// names are the model's own ("transformer.wte.weight"), as Hugging Face writes them.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "trireme/core/base/filesystem.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

// A tensor whose values are made when they are written.
struct TensorSource {
  std::string name;
  Shape shape;
  DType dtype = DType::f32;
  std::function<Array()> values;
};

// Writes all tensors as `path`: beside it first, synced, then renamed, so that an older file of that name stays until
// the new one is safe. One process calls this. Values are asked for once each, in order, and let go when written.
// Raises Error, and what values() raises.
void save_model(FileSystem& files, const std::string& path, std::span<const TensorSource> tensors);
// Of tensors that are all there (each whole: row_begin 0, all rows).
void save_model(FileSystem& files, const std::string& path, std::span<const sharding::StateTensor> tensors);

// Fills `wanted[i].rows` (any rows of the whole tensor) from whatever `path` is: a safetensors file, Hugging Face's
// index of several, a directory of them (PyTorch's distributed checkpoints included), or a checkpoint (source.h), of
// which only the model is read. Floating-point types are converted. A name is also found with "transformer." before it
// or taken off (GPT2Model leaves it out). Entries that the model has no use for are allowed (lm_head.weight tied to
// wte, attention masks, optimizer state) and, if unknown, logged; one more layer than the model has is an error, and so
// is a missing name or another shape. Blocks; every rank may call it.
void load_model(FileSystem& files, const std::string& path, std::span<const sharding::StateTensor> wanted);

}  // namespace trireme::checkpoint
