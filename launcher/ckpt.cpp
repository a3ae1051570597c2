#include "trireme/launcher/ckpt.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/command_line-inl.h"

namespace trireme::launcher {
namespace {

using checkpoint::Candidate;
using checkpoint::Survey;

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) {
    value /= 1024;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string name_of_path(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The checkpoints of DIR, or DIR itself if it is one.
Survey look(FileSystem& files, const std::string& directory) {
  const std::optional<FileStatus> there = files.status(directory);
  require(there && there->is_directory, "trireme ckpt: {} is no directory; give a checkpoint or a directory of them",
          directory);
  const std::string manifest = join_path(directory, checkpoint::kManifestName);
  if (!files.status(manifest)) {
    return checkpoint::survey(files, directory);
  }
  const std::vector<std::byte> bytes = read_file(files, manifest, checkpoint::kMessageBytesMax);
  return {{{directory, checkpoint::decode_manifest(bytes, manifest)}}, {}, {}};
}

int list(FileSystem& files, const std::string& directory) {
  const Survey found = look(files, directory);
  if (found.readable.empty() && found.unusable.empty()) {
    fmt::print("no checkpoints in {}\n", directory);
    return 0;
  }
  fmt::print("{:<20} {:>10} {:>6} {:>6} {:>6} {:>12}  {:<18} {}\n", "checkpoint", "step", "epoch", "ranks", "lanes",
             "size", "strategy", "saved (UTC)");
  for (const Candidate& candidate : found.readable) {
    const checkpoint::Manifest& manifest = candidate.manifest;
    fmt::print("{:<20} {:>10} {:>6} {:>6} {:>6} {:>12}  {:<18} {:%Y-%m-%d %H:%M:%S}{}\n", name_of_path(candidate.path),
               manifest.position.step, manifest.position.epoch, manifest.world_size, manifest.position.lanes,
               size_text(manifest.total_bytes()), manifest.position.strategy, fmt::gmtime(manifest.saved_unix_seconds),
               &candidate == &found.readable.front() ? "  newest" : "");
  }
  for (const std::string& reason : found.unusable) {
    fmt::print("unusable: {}\n", reason);
  }
  return 0;
}

// A line that is drawn over itself, for people only.
class Bar {
 public:
  Bar(std::string what, std::uint64_t total) : what_(std::move(what)), total_(total), shown_(::isatty(2) == 1) {}
  ~Bar() {
    if (shown_) {
      fmt::print(stderr, "\r\033[K");
    }
  }
  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (shown_ && total_ > 0) {
      constexpr std::uint64_t kWidth = 30;
      const std::uint64_t filled = done_ * kWidth / total_;
      fmt::print(stderr, "\r{} [{:#<{}}{:.<{}}] {:3}%", what_, "", filled, "", kWidth - filled, done_ * 100 / total_);
    }
  }

 private:
  std::string what_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool shown_;
};

// Nothing, or the first thing that is wrong.
std::optional<std::string> damage(FileSystem& files, const Candidate& candidate) {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{64} << 20;
  try {
    Bar bar(name_of_path(candidate.path), candidate.manifest.total_bytes());
    for (const checkpoint::FileRecord& record : candidate.manifest.files) {
      checkpoint::VerifiedFile file(files, join_path(candidate.path, record.name), record);
      for (std::uint64_t at = 0; at < record.bytes; at += kPieceBytes) {
        const std::uint64_t bytes = std::min(kPieceBytes, record.bytes - at);
        file.verify(at, bytes);
        bar.advance(bytes);
      }
    }
    checkpoint::Reader::open(files, candidate.path, checkpoint::Verify::when_loaded);  // headers and completeness
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

int verify(FileSystem& files, const std::string& directory) {
  const Survey found = look(files, directory);
  int bad = static_cast<int>(found.unusable.size());
  for (const Candidate& candidate : found.readable) {
    const std::optional<std::string> reason = damage(files, candidate);
    bad += reason ? 1 : 0;
    fmt::print("{} {}: {}\n", reason ? "BAD" : "ok ", name_of_path(candidate.path),
               reason ? *reason
                      : fmt::format("{} files, {}", candidate.manifest.files.size(),
                                    size_text(candidate.manifest.total_bytes())));
  }
  for (const std::string& reason : found.unusable) {
    fmt::print("BAD {}\n", reason);
  }
  require(!found.readable.empty() || bad > 0,
          "trireme ckpt verify: {} holds no checkpoint; give one, or a directory of them", directory);
  return bad == 0 ? 0 : 1;
}

// Deletes all but the newest. The directory's lock is held meanwhile, so a running job is never disturbed.
int prune(FileSystem& files, const std::string& directory, int keep) {
  require_usage(keep >= 1, "trireme ckpt prune: --keep {} given, at least 1 expected", keep);
  const Survey found = look(files, directory);
  const std::unique_ptr<FileLock> lock =
      files.try_lock(join_path(directory, checkpoint::kLockName), "trireme ckpt prune");
  require(lock != nullptr, "trireme ckpt prune: a job is using {}; stop it first", directory);
  std::vector<checkpoint::Kept> good;
  for (const Candidate& candidate : found.readable) {
    if (damage(files, candidate)) {
      fmt::print("damaged, left alone: {}\n", name_of_path(candidate.path));
    } else {
      good.push_back({candidate.path, candidate.manifest.sequence});
    }
  }
  for (const std::string& path : checkpoint::plan_retention(good, keep)) {
    checkpoint::delete_checkpoint(files, path, "");
    fmt::print("deleted {}\n", name_of_path(path));
  }
  return 0;
}

struct Request {
  std::string word;
  std::string directory;
  std::vector<std::string> more;
  int keep = 1;
};

// Parses; nothing after --help.
std::optional<Request> parse(const std::vector<std::string>& arguments) {
  Request request;
  CLI::App app("Looks at the checkpoints in a directory.", "trireme ckpt");
  app.require_subcommand(1);
  const auto add = [&](const char* word, const char* help) {
    CLI::App* command = app.add_subcommand(word, help);
    command->add_option("DIR", request.directory, "a --checkpoint-dir, or one checkpoint in it")->required();
    command->callback([&request, word] { request.word = word; });
    return command;
  };
  add("ls", "list them, the newest first");
  add("verify", "read everything and compare the checksums; exit 1 if anything is damaged");
  add("prune", "delete all but the newest")->add_option("--keep", request.keep, "how many stay")->capture_default_str();
  for (const char* later : {"diff", "merge", "convert"}) {
    add(later, "(not built yet)")->add_option("MORE", request.more, "");
  }
  if (const auto help = parse_or_help(app, arguments)) {
    fmt::print("{}", *help);
    return std::nullopt;
  }
  return request;
}

}  // namespace

int run_ckpt(const std::vector<std::string>& arguments) {
  const std::optional<Request> request = parse(arguments);
  if (!request) {
    return 0;
  }
  PosixFileSystem files;
  if (request->word == "ls") {
    return list(files, request->directory);
  }
  if (request->word == "verify") {
    return verify(files, request->directory);
  }
  if (request->word == "prune") {
    return prune(files, request->directory, request->keep);
  }
  fail_usage(
      "trireme ckpt {}: not built yet. Each shard is a safetensors file that other tools open; for one file of the "
      "whole "
      "model, train with --export FILE.safetensors",
      request->word);
}

}  // namespace trireme::launcher
