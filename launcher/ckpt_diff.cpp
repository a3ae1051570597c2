// `trireme ckpt diff`.
#include <fmt/format.h>

#include <algorithm>

#include "trireme/checkpoint/compare.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_copy.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"
#include "trireme/launcher/byte_progress.h"
#include "trireme/launcher/ckpt_commands.h"
#include "trireme/launcher/ckpt_survey.h"
#include "trireme/launcher/json_output-inl.h"

namespace trireme::launcher {
namespace {

using checkpoint::NamedTensor;
using checkpoint::SavedTensor;
using checkpoint::Source;
using checkpoint::TensorDifference;
using Json = nlohmann::json;

bool is_optimizer(const SavedTensor& tensor, bool kinds) {
  return checkpoint::split_saved_name(tensor.name, kinds).kind.starts_with(checkpoint::kOptimizerKind);
}

bool has_optimizer(Source& source) {
  const std::vector<SavedTensor>& tensors = source.saved().tensors();
  return std::any_of(tensors.begin(), tensors.end(), [](const SavedTensor& t) { return is_optimizer(t, false); });
}

// Sorted by name. Of a checkpoint beside a model file, the model's own names are compared.
std::vector<NamedTensor> names_of(Source& source, bool own_names, bool optimizer) {
  const std::vector<SavedTensor>& tensors = source.saved().tensors();
  const bool kinds = checkpoint::has_kinds(tensors);
  std::vector<NamedTensor> names;
  for (const SavedTensor& tensor : tensors) {
    const bool state = is_optimizer(tensor, kinds);
    if (state && !optimizer) {
      continue;
    }
    const bool plain = own_names && !state;
    names.push_back({plain ? std::string(checkpoint::split_saved_name(tensor.name, kinds).own) : tensor.name, &tensor});
  }
  std::sort(names.begin(), names.end(), [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  return names;
}

std::pair<std::string, std::string> newest_two(FileSystem& files, const std::string& directory) {
  const checkpoint::Survey found = look(files, directory);
  require_usage(found.readable.size() >= 2,
                "trireme ckpt diff: {} holds {} readable checkpoints; give two paths, or a directory of at least two",
                directory, found.readable.size());
  return {found.readable[1].path, found.readable[0].path};
}

std::string difference_text(const TensorDifference& difference) {
  using checkpoint::DifferenceKind;
  switch (difference.kind) {
    case DifferenceKind::only_in_a:
    case DifferenceKind::only_in_b:
      return fmt::format("{}, {}", name_of(difference.kind), difference.a.empty() ? difference.b : difference.a);
    case DifferenceKind::shape:
      return fmt::format("{} in a, {} in b", difference.a, difference.b);
    case DifferenceKind::dtype:
    case DifferenceKind::values:
      break;
  }
  const std::string values =
      fmt::format("{} of {} elements differ, max |a - b| {:.6g}, max relative {:.6g}", difference.different,
                  difference.elements, difference.max_absolute, difference.max_relative);
  return difference.kind == DifferenceKind::values
             ? values
             : fmt::format("{} in a, {} in b; {}", difference.a, difference.b, values);
}

Json difference_json(const TensorDifference& difference) {
  return {{"name", difference.name},
          {"kind", name_of(difference.kind)},
          {"a", difference.a},
          {"b", difference.b},
          {"elements", difference.elements},
          {"different", difference.different},
          {"max_abs", difference.max_absolute},
          {"max_rel", difference.max_relative}};
}

std::uint64_t bytes_of(const std::vector<NamedTensor>& names) {
  std::uint64_t sum = 0;
  for (const NamedTensor& name : names) {
    sum += name.tensor->bytes();
  }
  return sum;
}

int diff(FileSystem& files, const DiffOptions& options, const CkptOutput& output) {
  auto [path_a, path_b] = options.b.empty() ? newest_two(files, options.a) : std::pair(options.a, options.b);
  Source a = Source::open(files, path_a);
  Source b = Source::open(files, path_b);
  const bool optimizer = !options.model_only && has_optimizer(a) == has_optimizer(b);
  const bool own_names =
      options.model_only || checkpoint::has_kinds(a.saved().tensors()) != checkpoint::has_kinds(b.saved().tensors());
  if (!optimizer && !options.model_only) {
    log::info("only one of them holds an optimizer's state, so the models are compared");
  }
  const std::vector<NamedTensor> names_a = names_of(a, own_names, optimizer);
  const std::vector<NamedTensor> names_b = names_of(b, own_names, optimizer);
  std::vector<TensorDifference> found;
  {
    ByteProgress bar(output.progress, "diff", bytes_of(names_a));
    found = checkpoint::compare(a.saved(), names_a, b.saved(), names_b, {options.absolute, options.relative},
                                [&bar](std::uint64_t bytes) { bar.advance(bytes); });
  }
  if (output.json) {
    Json list = Json::array();
    std::transform(found.begin(), found.end(), std::back_inserter(list), difference_json);
    const Json json = {{"a", a.path()},
                       {"b", b.path()},
                       {"same", found.empty()},
                       {"tensors_a", names_a.size()},
                       {"tensors_b", names_b.size()},
                       {"differences", list}};
    print_json(json);
    return found.empty() ? 0 : 1;
  }
  for (const TensorDifference& difference : found) {
    fmt::print("{}: {}\n", difference.name, difference_text(difference));
  }
  fmt::print("{} tensors in {}, {} in {}: {}\n", names_a.size(), a.path(), names_b.size(), b.path(),
             found.empty() ? "all the same" : fmt::format("{} differ", found.size()));
  return found.empty() ? 0 : 1;
}

}  // namespace

int diff_checkpoints(FileSystem& files, const DiffOptions& options, const CkptOutput& output) {
  try {
    return diff(files, options, output);
  } catch (const Error& error) {  // 1 means "they differ" here
    fail_usage("{}", error.what());
  }
}

}  // namespace trireme::launcher
