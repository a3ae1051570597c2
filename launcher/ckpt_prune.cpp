// `trireme ckpt prune`.
#include <fmt/format.h>

#include <algorithm>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/ckpt_commands.h"
#include "trireme/launcher/ckpt_survey.h"
#include "trireme/launcher/json_output-inl.h"

namespace trireme::launcher {
namespace {

struct Verdict {
  std::vector<std::string> kept;
  std::vector<std::string> damaged;  // among the newest: left alone, and not counted
  std::vector<std::string> old;      // oldest first
};

// Walks from the newest to the oldest. Once `keep` are known to be whole, the others need not be read.
Verdict judge(FileSystem& files, const checkpoint::Survey& found, const PruneOptions& options,
              training::ProgressMode progress) {
  Verdict verdict;
  for (const checkpoint::Candidate& candidate : found.readable) {
    if (verdict.kept.size() == static_cast<std::size_t>(options.keep)) {
      verdict.old.insert(verdict.old.begin(), candidate.path);
    } else if (wrong_bytes(files, candidate, progress)) {
      verdict.damaged.push_back(candidate.path);
    } else {
      verdict.kept.push_back(candidate.path);
    }
  }
  return verdict;
}

std::vector<std::string> names(const std::vector<std::string>& paths) {
  std::vector<std::string> result;
  std::transform(paths.begin(), paths.end(), std::back_inserter(result), name_of_path);
  return result;
}

}  // namespace

int prune_checkpoints(FileSystem& files, const PruneOptions& options, const CkptOutput& output) {
  require_usage(options.keep >= 1, "trireme ckpt prune: --keep {} given, at least 1 expected", options.keep);
  require_usage(!files.status(join_path(options.directory, checkpoint::kManifestName)),
                "trireme ckpt prune: {} is one checkpoint; give the directory that holds several", options.directory);
  checkpoint::Survey found = look(files, options.directory);
  const std::unique_ptr<FileLock> lock =
      files.try_lock(join_path(options.directory, checkpoint::kLockName), "trireme ckpt prune");
  require(lock != nullptr, "trireme ckpt prune: a job is using {}; stop it first", options.directory);
  found = look(files, options.directory);  // again: now nobody changes it
  const Verdict verdict = judge(files, found, options, output.progress);
  if (!output.json) {
    for (const std::string& name : names(verdict.damaged)) {
      fmt::print("damaged, left alone: {}\n", name);
    }
  }
  for (const std::string& path : verdict.old) {
    if (!options.dry_run) {
      checkpoint::delete_checkpoint(files, path, "");
    }
    if (!output.json) {
      fmt::print("{} {}\n", options.dry_run ? "would delete" : "deleted", name_of_path(path));
    }
  }
  if (output.json) {
    const nlohmann::json json = {{"kept", names(verdict.kept)},
                                 {"deleted", names(verdict.old)},
                                 {"damaged", names(verdict.damaged)},
                                 {"dry_run", options.dry_run}};
    print_json(json);
  }
  return 0;
}

}  // namespace trireme::launcher
