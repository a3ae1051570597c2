// One job at a time writes into a checkpoint directory.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "trireme/core/base/clock.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

// Locks the directory until the result goes away or the process ends, however it ends; its `lock` file says who holds
// it. Waits `timeout` for a dying predecessor, then raises Error naming the owner.
std::unique_ptr<FileLock> lock_directory(FileSystem& files, Clock& clock, const std::string& directory,
                                         std::uint64_t run_id, std::chrono::milliseconds timeout);

}  // namespace trireme::checkpoint
