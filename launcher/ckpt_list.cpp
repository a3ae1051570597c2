// `trireme ckpt ls` and `trireme ckpt verify`.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "trireme/core/base/error.h"
#include "trireme/launcher/ckpt_commands.h"
#include "trireme/launcher/ckpt_survey.h"
#include "trireme/launcher/json_output-inl.h"

namespace trireme::launcher {
namespace {

using checkpoint::Candidate;
using checkpoint::Survey;
using Json = nlohmann::json;

struct Row {
  const Candidate* candidate = nullptr;
  std::string state;                  // "whole": sizes and headers fit; "verified": every byte does; "damaged"
  std::optional<std::string> reason;  // of the damage
};

std::vector<Row> examine(FileSystem& files, const Survey& found, bool everything, training::ProgressMode progress) {
  std::vector<Row> rows;
  for (const Candidate& candidate : found.readable) {
    std::optional<std::string> reason =
        everything ? wrong_bytes(files, candidate, progress) : wrong_headers(files, candidate);
    rows.push_back({&candidate, reason ? "damaged" : everything ? "verified" : "whole", std::move(reason)});
  }
  return rows;
}

double age_of(const Candidate& candidate) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::max(
      0.0, std::chrono::duration<double>(now).count() - static_cast<double>(candidate.manifest.saved_unix_seconds));
}

std::string age_text(double seconds) {
  constexpr double kTwoDays = 2 * 86400;
  return seconds < kTwoDays ? training::short_duration(seconds) : fmt::format("{:.0f}d", seconds / 86400);
}

Json row_json(const Row& row) {
  const checkpoint::Manifest& manifest = row.candidate->manifest;
  Json json = {{"name", name_of_path(row.candidate->path)},
               {"path", row.candidate->path},
               {"step", manifest.position.step},
               {"epoch", manifest.position.epoch},
               {"sequence", manifest.sequence},
               {"strategy", manifest.position.strategy},
               {"world_size", manifest.world_size},
               {"lanes", manifest.position.lanes},
               {"bytes", manifest.total_bytes()},
               {"saved_unix_seconds", manifest.saved_unix_seconds},
               {"age_seconds", age_of(*row.candidate)},
               {"state", row.state}};
  if (row.reason) {
    json["reason"] = *row.reason;
  }
  return json;
}

void print_list(const std::vector<Row>& rows, const Survey& found) {
  Json list = Json::array();
  for (const Row& row : rows) {
    list.push_back(row_json(row));
  }
  print_json({{"checkpoints", list}, {"unusable", found.unusable}});
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("{:<20} {:>10} {:>6} {:>6} {:>6} {:>12}  {:<18} {:>7}  {:<19}  {}\n", "checkpoint", "step", "epoch",
             "ranks", "lanes", "size", "strategy", "age", "saved (UTC)", "state");
  for (const Row& row : rows) {
    const checkpoint::Manifest& manifest = row.candidate->manifest;
    fmt::print("{:<20} {:>10} {:>6} {:>6} {:>6} {:>12}  {:<18} {:>7}  {:%Y-%m-%d %H:%M:%S}  {}{}\n",
               name_of_path(row.candidate->path), manifest.position.step, manifest.position.epoch, manifest.world_size,
               manifest.position.lanes, size_text(manifest.total_bytes()), manifest.position.strategy,
               age_text(age_of(*row.candidate)), fmt::gmtime(manifest.saved_unix_seconds), row.state,
               &row == &rows.front() ? ", newest" : "");
  }
  for (const Row& row : rows) {
    if (row.reason) {
      fmt::print("damaged: {}\n", *row.reason);
    }
  }
}

}  // namespace

int list_checkpoints(FileSystem& files, const std::string& directory, bool everything, const CkptOutput& output) {
  const Survey found = look(files, directory);
  const std::vector<Row> rows = examine(files, found, everything, output.progress);
  if (output.json) {
    print_list(rows, found);
    return 0;
  }
  if (rows.empty() && found.unusable.empty()) {
    fmt::print("no checkpoints in {}\n", directory);
    return 0;
  }
  if (!rows.empty()) {
    print_table(rows);
  }
  for (const std::string& reason : found.unusable) {
    fmt::print("unusable: {}\n", reason);
  }
  return 0;
}

int verify_checkpoints(FileSystem& files, const std::string& directory, const CkptOutput& output) {
  const Survey found = look(files, directory);
  require(!found.readable.empty() || !found.unusable.empty(),
          "trireme ckpt verify: {} holds no checkpoint; give one, or a directory of them", directory);
  const std::vector<Row> rows = examine(files, found, true, output.progress);
  const bool bad = !found.unusable.empty() ||
                   std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.reason.has_value(); });
  if (output.json) {
    print_list(rows, found);
    return bad ? 1 : 0;
  }
  for (const Row& row : rows) {
    const checkpoint::Manifest& manifest = row.candidate->manifest;
    fmt::print("{} {}: {}\n", row.reason ? "BAD" : "ok ", name_of_path(row.candidate->path),
               row.reason ? *row.reason
                          : fmt::format("{} files, {}", manifest.files.size(), size_text(manifest.total_bytes())));
  }
  for (const std::string& reason : found.unusable) {
    fmt::print("BAD {}\n", reason);
  }
  return bad ? 1 : 0;
}

}  // namespace trireme::launcher
