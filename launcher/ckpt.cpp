#include "trireme/launcher/ckpt.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <thread>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"
#include "trireme/launcher/ckpt_commands.h"
#include "trireme/launcher/command_line-inl.h"

namespace trireme::launcher {
namespace {

constexpr const char* kDirectoryHelp = "a --checkpoint-dir, or one checkpoint in it";
constexpr const char* kSourceHelp =
    "a checkpoint, a directory of them (its newest), a safetensors file, an index of several, or a directory of those";

// What was parsed: one of the commands, and what it is given.
struct Request {
  CkptOutput output;
  std::string progress = "auto";
  std::string directory;
  bool everything = false;
  PruneOptions prune;
  DiffOptions diff;
  CopyOptions merge;
  CopyOptions convert;
  std::string dtype;
  std::function<int(FileSystem&)> run;
};

CLI::App* add_command(CLI::App& app, Request& request, const char* name, const char* help,
                      std::function<int(FileSystem&)> run) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_flag("--json", request.output.json, "one JSON object instead of text");
  command->add_option("--progress", request.progress, "auto|bar|log|off: a bar in a terminal, log lines elsewhere")
      ->capture_default_str();
  command->callback([&request, run = std::move(run)] { request.run = run; });
  return command;
}

void add_ls_and_verify(CLI::App& app, Request& request) {
  CLI::App* ls = add_command(app, request, "ls", "list them, the newest first", [&request](FileSystem& files) {
    return list_checkpoints(files, request.directory, request.everything, request.output);
  });
  ls->add_option("DIR", request.directory, kDirectoryHelp)->required();
  ls->add_flag("--verify", request.everything, "read every byte, not only sizes and headers");
  add_command(app, request, "verify", "read everything and compare the checksums; exit 1 if anything is damaged",
              [&request](FileSystem& files) { return verify_checkpoints(files, request.directory, request.output); })
      ->add_option("DIR", request.directory, kDirectoryHelp)
      ->required();
}

void add_prune(CLI::App& app, Request& request) {
  CLI::App* prune =
      add_command(app, request, "prune", "delete all but the newest that are whole",
                  [&request](FileSystem& files) { return prune_checkpoints(files, request.prune, request.output); });
  prune->add_option("DIR", request.prune.directory, "a --checkpoint-dir that no job is using")->required();
  prune->add_option("--keep", request.prune.keep, "how many stay")->capture_default_str();
  prune->add_flag("--dry-run", request.prune.dry_run, "only say what would be deleted");
}

void add_diff(CLI::App& app, Request& request) {
  DiffOptions& options = request.diff;
  CLI::App* diff = add_command(
      app, request, "diff", "the tensors that differ between two; exit 0 if none does, 1 if some do, 2 in trouble",
      [&request](FileSystem& files) { return diff_checkpoints(files, request.diff, request.output); });
  diff->add_option("A", options.a, kSourceHelp)->required();
  diff->add_option("B", options.b, "the other one; without it the two newest checkpoints in A are compared");
  diff->add_option("--atol", options.absolute, "differences up to this are none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  diff->add_option("--rtol", options.relative, "nor those up to this times |b|")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  diff->add_flag("--model-only", options.model_only, "leave out the optimizer's state");
}

// What merge and convert have in common.
void add_copy_options(CLI::App* command, CopyOptions& options) {
  command->add_option("FROM", options.from, kSourceHelp)->required();
  options.file_bytes_max = std::uint64_t{5} * 1000 * 1000 * 1000;
  command
      ->add_option("--shard-size", options.file_bytes_max,
                   "models larger than this (500MB, 5GB, 2GiB) go into several files with an index")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber)
      ->default_str("5GB");
  command->add_flag("--optimizer", options.optimizer, "write the optimizer's state too, as optimizer.STATE.NAME");
  command->add_option("--only", options.only, "tensors with such names (as in a shell: 'h.0.*'); may be repeated")
      ->allow_extra_args(false);
  command->add_option("--skip", options.skip, "no tensors with such names; may be repeated")->allow_extra_args(false);
}

void add_merge(CLI::App& app, Request& request) {
  CopyOptions& options = request.merge;
  options.merge = true;
  CLI::App* merge =
      add_command(app, request, "merge", "one safetensors file of the whole model, as Hugging Face names it",
                  [&request](FileSystem& files) { return copy_checkpoint(files, request.merge, request.output); });
  add_copy_options(merge, options);
  merge->add_option("TO,-o,--output", options.to, "FILE.safetensors, or a directory for model.safetensors")->required();
}

void add_convert(CLI::App& app, Request& request) {
  CopyOptions& options = request.convert;
  CLI::App* convert =
      add_command(app, request, "convert", "other precisions, names and layouts, in both directions",
                  [&request](FileSystem& files) { return copy_checkpoint(files, request.convert, request.output); });
  add_copy_options(convert, options);
  convert
      ->add_option("TO,-o,--output", options.to,
                   "FILE.safetensors; any other name is a --checkpoint-dir, into which a checkpoint is written")
      ->required();
  convert->add_option("--dtype", request.dtype, "f32|bf16|f16|f64, for all floating-point tensors (to nearest even)")
      ->check(CLI::IsMember({"f32", "bf16", "f16", "f64"}));
  convert->add_option("--names", options.names, "keep|transformer|bare: names of GPT-2's body with or without that")
      ->check(CLI::IsMember({"keep", "transformer", "bare"}))
      ->capture_default_str();
  convert
      ->add_option("--rename", options.renames,
                   "EXPRESSION=REPLACEMENT, a regular expression over the model's names; may be repeated")
      ->allow_extra_args(false);
  convert->add_option("--ranks", options.ranks, "shards of the checkpoint (default: as many as it had, else 1)")
      ->check(CLI::Range(1, 99999));
  convert->add_option("--step", options.step, "the checkpoint's step")->check(CLI::NonNegativeNumber);
  convert->add_option("--like", options.like,
                      "a checkpoint whose step, seed, lanes and options the new one takes over");
  convert->add_flag("--model-only", options.model_only, "into a checkpoint: leave out the optimizer's state");
}

// Sets request.run, or returns the help that was asked for.
std::optional<std::string> parse(const std::vector<std::string>& arguments, Request& request) {
  CLI::App app("Looks at checkpoints and model files, and makes one from the other.", "trireme ckpt");
  app.require_subcommand(1);
  add_ls_and_verify(app, request);
  add_diff(app, request);
  add_merge(app, request);
  add_convert(app, request);
  add_prune(app, request);
  if (auto help = parse_or_help(app, arguments)) {
    return help;
  }
  request.output.progress = training::progress_mode_from_name(request.progress);
  if (!request.dtype.empty()) {
    request.convert.dtype = dtype_from_name(request.dtype);
  }
  return std::nullopt;
}

}  // namespace

int run_ckpt(const std::vector<std::string>& arguments) {
  constexpr unsigned kThreadsMax = 8;
  Request request;
  if (const std::optional<std::string> help = parse(arguments, request)) {
    fmt::print("{}", *help);
    return 0;
  }
  set_num_threads(static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax)));
  PosixFileSystem files;
  return request.run(files);
}

}  // namespace trireme::launcher
