#include "trireme/checkpoint/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "trireme/checkpoint/new_file.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/checkpoint/safetensors.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_names.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

constexpr std::size_t kNamesShown = 5;

// The tensor that the model calls `name`: as it is, or with or without the body's prefix; each also as a checkpoint
// calls it.
const SavedTensor* find_saved(const SavedTensors& saved, const std::string& name) {
  const std::string other =
      name.starts_with(kBodyPrefix) ? name.substr(kBodyPrefix.size()) : std::string(kBodyPrefix) + name;
  for (const std::string_view kind : {std::string_view(), kModelKind, kBufferKind}) {
    for (const std::string& spelled : {name, other}) {
      if (const SavedTensor* tensor = saved.find(std::string(kind) + spelled)) {
        return tensor;
      }
    }
  }
  return nullptr;
}

// "h.3.ln_1.weight" -> "h.#.ln_1.weight": what the layers of a model have in common.
std::string without_numbers(std::string_view name) {
  for (const std::string_view prefix : {kModelKind, kBufferKind, kBodyPrefix}) {
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
    }
  }
  std::string pattern;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('.'), name.size());
    const std::string_view part = name.substr(0, end);
    const bool number = part.find_first_not_of("0123456789") == std::string_view::npos;
    pattern.append(number ? "#" : part).append(".");
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return pattern;
}

bool known_extra(std::string_view name) {
  return name == "lm_head.weight" || name.starts_with(kOptimizerKind) || name.ends_with(".attn.bias") ||
         name.ends_with(".attn.masked_bias");
}

// What the file has beyond the model: a layer too many means that the options and the file do not belong together.
void check_extras(const SavedTensors& saved, const std::set<const SavedTensor*>& used,
                  std::span<const sharding::StateTensor> wanted, const std::string& path) {
  std::set<std::string> patterns;
  for (const sharding::StateTensor& tensor : wanted) {
    patterns.insert(without_numbers(tensor.name));
  }
  std::vector<std::string> unknown;
  for (const SavedTensor& tensor : saved.tensors()) {
    if (used.contains(&tensor) || known_extra(tensor.name)) {
      continue;
    }
    require(!patterns.contains(without_numbers(tensor.name)),
            "load {}: it holds '{}', of a layer that this model does not have; give the file's number of layers", path,
            tensor.name);
    unknown.push_back(tensor.name);
  }
  if (!unknown.empty()) {
    const std::span<const std::string> shown = std::span(unknown).first(std::min(kNamesShown, unknown.size()));
    log::warning("load {}: {} tensors that this model does not have are left aside: {}{}", path, unknown.size(),
                 fmt::join(shown, ", "), shown.size() < unknown.size() ? ", ..." : "");
  }
}

void require_fits(const SavedTensor& saved, const sharding::StateTensor& wanted, const std::string& path) {
  const std::vector<std::int64_t> shape(wanted.global_shape.begin(), wanted.global_shape.end());
  require(saved.shape == shape, "load {}: '{}' has shape [{}] there, the model wants {}; give the file's sizes", path,
          saved.name, fmt::join(saved.shape, ", "), to_string(wanted.global_shape));
  const DType dtype = wanted.rows.dtype();
  require(saved.dtype && (*saved.dtype == dtype || (is_floating(*saved.dtype) && is_floating(dtype))),
          "load {}: '{}' has dtype {} there, which cannot become {}; convert the file to F32, F16 or BF16", path,
          saved.name, saved.dtype_name, name_of(dtype));
}

void write_model(File& file, std::span<const TensorSource> tensors) {
  std::vector<TensorToWrite> entries;
  for (const TensorSource& tensor : tensors) {
    entries.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  const PlannedFile plan = plan_safetensors(entries, {{"format", "pt"}}, kModelFileAlignment);
  file.resize(plan.file_bytes);
  file.reserve(plan.file_bytes);
  file.write(0, std::as_bytes(std::span(plan.header)));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Array values = tensors[i].values().contiguous();
    require(values.shape() == tensors[i].shape && values.dtype() == tensors[i].dtype,
            "save {}: '{}' was announced as {} of shape {} and is {}", file.path(), tensors[i].name,
            name_of(tensors[i].dtype), to_string(tensors[i].shape), values);
    file.write(plan.begins[i], {values.bytes_data(), values.bytes()});
  }
}

}  // namespace

void save_model(FileSystem& files, const std::string& path, std::span<const TensorSource> tensors) {
  const std::string parent = parent_path(path);
  make_directories(files, parent);
  NewFile file(files, path);
  write_model(file.content(), tensors);
  file.finish();
  files.sync_directory(parent);
}

void save_model(FileSystem& files, const std::string& path, std::span<const sharding::StateTensor> tensors) {
  std::vector<TensorSource> sources;
  for (const sharding::StateTensor& tensor : tensors) {
    require_valid(tensor);
    require(tensor.rows.shape() == tensor.global_shape, "save {}: '{}' is not whole on this rank; gather it first",
            path, tensor.name);
    sources.push_back({tensor.name, tensor.global_shape, tensor.rows.dtype(), [rows = tensor.rows] { return rows; }});
  }
  save_model(files, path, std::span<const TensorSource>(sources));
}

void load_model(FileSystem& files, const std::string& path, std::span<const sharding::StateTensor> wanted) {
  Source source = Source::open(files, path);
  SavedTensors& saved = source.saved();
  std::set<const SavedTensor*> used;
  std::vector<const SavedTensor*> found;
  for (const sharding::StateTensor& tensor : wanted) {
    require_valid(tensor);
    found.push_back(find_saved(saved, tensor.name));
    require(found.back() != nullptr,
            "load {}: it has no tensor '{}'; it is of another kind of model, or of fewer layers", path, tensor.name);
    require_fits(*found.back(), tensor, path);
    used.insert(found.back());
  }
  check_extras(saved, used, wanted, path);
  saved.load(found, wanted);
}

}  // namespace trireme::checkpoint
