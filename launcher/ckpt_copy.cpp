// `trireme ckpt merge` and `trireme ckpt convert`.
#include <fmt/format.h>

#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_copy.h"
#include "trireme/checkpoint/tensor_output.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/byte_progress.h"
#include "trireme/launcher/ckpt_commands.h"
#include "trireme/launcher/ckpt_survey.h"
#include "trireme/launcher/json_output-inl.h"

namespace trireme::launcher {
namespace {

using checkpoint::BodyPrefix;
using checkpoint::CopyRules;
using checkpoint::CopyTarget;
using checkpoint::Source;
using checkpoint::TensorCopy;

constexpr std::string_view kModelSuffix = ".safetensors";

bool writes_checkpoint(const CopyOptions& options) { return !options.merge && !options.to.ends_with(kModelSuffix); }

// merge takes the name of a directory too, as Hugging Face lays a model out.
std::string model_path(const CopyOptions& options) {
  return options.to.ends_with(kModelSuffix) ? options.to : join_path(options.to, "model.safetensors");
}

std::pair<std::string, std::string> rename_of(const std::string& text) {
  const std::size_t mark = text.rfind('=');
  require_usage(mark != std::string::npos && mark > 0, "--rename '{}': EXPRESSION=REPLACEMENT expected", text);
  return {text.substr(0, mark), text.substr(mark + 1)};
}

CopyRules rules_of(const CopyOptions& options) {
  CopyRules rules;
  const bool checkpoint = writes_checkpoint(options);
  rules.target = checkpoint ? CopyTarget::checkpoint : CopyTarget::model_files;
  rules.optimizer = checkpoint ? !options.model_only : options.optimizer;
  rules.dtype = options.dtype;
  rules.body = options.names == "transformer" ? BodyPrefix::add
               : options.names == "bare"      ? BodyPrefix::remove
                                              : BodyPrefix::keep;
  for (const std::string& text : options.renames) {
    rules.renames.push_back(rename_of(text));
  }
  rules.only = options.only;
  rules.skip = options.skip;
  return rules;
}

sharding::TrainingPosition position_of(FileSystem& files, const Source& source, const CopyOptions& options) {
  sharding::TrainingPosition position;
  if (!options.like.empty()) {
    position = checkpoint::Reader::open_path(files, options.like, checkpoint::Verify::when_loaded).position();
  } else if (source.manifest() != nullptr) {
    position = source.manifest()->position;
  } else {
    position.strategy = "imported";
  }
  position.step = options.step.value_or(position.step);
  return position;
}

int ranks_of(const Source& source, const CopyOptions& options) {
  return options.ranks.value_or(source.manifest() != nullptr ? source.manifest()->world_size : 1);
}

void print(const std::vector<std::string>& paths, std::size_t tensors, std::uint64_t bytes, const Source& source,
           const CkptOutput& output) {
  if (output.json) {
    const nlohmann::json json = {{"from", source.path()}, {"paths", paths}, {"tensors", tensors}, {"bytes", bytes}};
    print_json(json);
    return;
  }
  fmt::print("{} tensors, {}, from {}\n", tensors, size_text(bytes), source.path());
  for (const std::string& path : paths) {
    fmt::print("wrote {}\n", path);
  }
}

}  // namespace

int copy_checkpoint(FileSystem& files, const CopyOptions& options, const CkptOutput& output) {
  Source source = Source::open(files, options.from);
  const std::vector<TensorCopy> copies = checkpoint::plan_copies(source.saved().tensors(), rules_of(options));
  std::uint64_t bytes = 0;
  for (const TensorCopy& copy : copies) {
    bytes += copy.bytes();
  }
  std::vector<std::string> paths;
  {
    ByteProgress bar(output.progress, options.merge ? "merge" : "convert", bytes);
    const auto advance = [&bar](std::uint64_t written) { bar.advance(written); };
    paths = writes_checkpoint(options)
                ? std::vector{checkpoint::write_checkpoint(files, source.saved(), copies, options.to,
                                                           position_of(files, source, options),
                                                           ranks_of(source, options), advance)}
                : checkpoint::write_model_files(files, source.saved(), copies, model_path(options),
                                                options.file_bytes_max, advance);
  }
  print(paths, copies.size(), bytes, source, output);
  return 0;
}

}  // namespace trireme::launcher
