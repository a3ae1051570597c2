// What the commands of `trireme ckpt` find in a directory, and what is wrong with it.
#pragma once

#include <optional>
#include <string>

#include "trireme/checkpoint/reader.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/training/progress_line.h"

namespace trireme::launcher {

// The checkpoints of `directory`, or itself if it is one. Raises Error if it is no directory.
checkpoint::Survey look(FileSystem& files, const std::string& directory);

// The last part of a path.
std::string name_of_path(std::string path);
// "512 B", "1.5 GiB".
std::string size_text(std::uint64_t bytes);

// Nothing, or the first thing that is wrong with its sizes, its headers, and whether they make up whole tensors.
std::optional<std::string> wrong_headers(FileSystem& files, const checkpoint::Candidate& candidate);
// The same and every checksum; reads everything.
std::optional<std::string> wrong_bytes(FileSystem& files, const checkpoint::Candidate& candidate,
                                       training::ProgressMode progress);

}  // namespace trireme::launcher
