#include "trireme/launcher/ckpt_survey.h"

#include <algorithm>

#include "trireme/checkpoint/layout.h"
#include "trireme/core/base/bytes_text.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/byte_progress.h"

namespace trireme::launcher {

using checkpoint::Candidate;
using checkpoint::Survey;

Survey look(FileSystem& files, const std::string& directory) {
  const std::optional<FileStatus> there = files.status(directory);
  require(there && there->is_directory, "trireme ckpt: {} is no directory; give a checkpoint or a directory of them",
          directory);
  const std::string manifest = join_path(directory, checkpoint::kManifestName);
  if (!files.status(manifest)) {
    return checkpoint::survey(files, directory);
  }
  try {
    const std::vector<std::byte> bytes = read_file(files, manifest, checkpoint::kMessageBytesMax);
    return {{{directory, checkpoint::decode_manifest(bytes, manifest)}}, {}, {}};
  } catch (const Error& error) {
    return {{}, {error.what()}, {}};
  }
}

std::string name_of_path(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path.substr(path.rfind('/') + 1);
}

std::string size_text(std::uint64_t bytes) { return bytes_text(static_cast<std::int64_t>(bytes)); }

std::optional<std::string> wrong_headers(FileSystem& files, const Candidate& candidate) {
  try {
    checkpoint::Reader::open(files, candidate.path, checkpoint::Verify::when_loaded);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

std::optional<std::string> wrong_bytes(FileSystem& files, const Candidate& candidate, training::ProgressMode progress) {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{64} << 20;
  try {
    ByteProgress bar(progress, "verify " + name_of_path(candidate.path), candidate.manifest.total_bytes());
    for (const checkpoint::FileRecord& record : candidate.manifest.files) {
      checkpoint::VerifiedFile file(files, join_path(candidate.path, record.name), record);
      for (std::uint64_t at = 0; at < record.bytes; at += kPieceBytes) {
        const std::uint64_t bytes = std::min(kPieceBytes, record.bytes - at);
        file.verify(at, bytes);
        bar.advance(bytes);
      }
    }
  } catch (const Error& error) {
    return error.what();
  }
  return wrong_headers(files, candidate);
}

}  // namespace trireme::launcher
