// The safetensors format as bytes: building a header, and parsing one that nobody has checked yet. No I/O here
// (safetensors_file.h). Format: https://huggingface.co/docs/safetensors and docs/checkpoint_format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/base/dtype.h"
#include "trireme/core/base/shape.h"

namespace trireme::checkpoint {

inline constexpr std::uint64_t kHeaderBytesMax = 100'000'000;  // the format's own limit

// Where the data of a whole-model file begin: at a multiple of this.
inline constexpr std::uint64_t kModelFileAlignment = 64;

// One tensor of a file.
struct TensorEntry {
  std::string name;
  std::string dtype_name;           // "F32", "BF16", ... as in the file
  std::optional<DType> dtype;       // nothing: a type that the format knows and Arrays do not
  std::vector<std::int64_t> shape;  // any number of dims; [] for a scalar
  std::uint64_t begin = 0;          // bytes from the start of the data
  std::uint64_t end = 0;

  std::uint64_t bytes() const { return end - begin; }
  std::int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  std::uint64_t row_bytes() const { return rows() == 0 ? 0 : bytes() / static_cast<std::uint64_t>(rows()); }
};

using Metadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // sorted by name
  Metadata metadata;                 // the entry "__metadata__"
  std::uint64_t data_begin = 0;      // bytes from the start of the file

  // Null if the file has no such tensor.
  const TensorEntry* find(std::string_view name) const;
};

// Checks the first 8 bytes of a file of `file_bytes` bytes, and returns how long the JSON text after them is. Raises
// Error naming `path` if it cannot be.
std::uint64_t parse_safetensors_length(std::span<const std::byte, 8> prefix, std::uint64_t file_bytes,
                                       const std::string& path);
// Parses and validates the JSON text of a header: types, names, overflow, and that the tensors fill the file exactly,
// without gap or overlap. Raises Error naming `path`. Allocates in proportion to `json`, never to numbers in it.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes, const std::string& path);

// "F32" for DType::f32.
std::string_view safetensors_dtype(DType dtype);

struct TensorToWrite {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};
struct PlannedFile {
  std::string header;                 // all before the data: length, JSON text, spaces up to the alignment
  std::vector<std::uint64_t> begins;  // of each tensor, in the order given: bytes from the start of the file
  std::uint64_t file_bytes = 0;
};
// Plans a file: tensors by descending element size, then name; data start at a multiple of `alignment` (8 or more).
// Raises Error for a name that occurs twice, is empty or is no valid text.
PlannedFile plan_safetensors(std::span<const TensorToWrite> tensors, const Metadata& metadata, std::uint64_t alignment);

}  // namespace trireme::checkpoint
