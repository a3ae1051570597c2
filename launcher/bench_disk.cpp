#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/launcher/bench.h"
#include "trireme/launcher/fd.h"
#include "trireme/launcher/stopwatch.h"

namespace trireme::launcher {
namespace {

// A file without a name: it vanishes with its descriptor, whatever happens.
Fd scratch_file(const std::string& folder) {
  std::string pattern = folder + "/.trireme_bench_XXXXXX";
  Fd file(::mkostemp(pattern.data(), O_CLOEXEC));
  require(static_cast<bool>(file), "trireme bench: cannot write in {}{}; choose another --dir", folder,
          errno_text(errno));
  ::unlink(pattern.c_str());
  return file;
}

void write_all(const Fd& file, const std::vector<char>& block, off_t offset) {
  const ssize_t wrote = ::pwrite(file.get(), block.data(), block.size(), offset);
  require(wrote == static_cast<ssize_t>(block.size()), "trireme bench: the disk took only {} of {} bytes{}", wrote,
          block.size(), errno_text(errno));
}

void sync(const Fd& file) { require(::fsync(file.get()) == 0, "trireme bench: fsync failed{}", errno_text(errno)); }

}  // namespace

double write_bandwidth(const std::string& folder) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  constexpr int kBlocks = 64;
  const std::vector<char> block(kBlock, 1);
  const double seconds = best_seconds(2, [&] {
    const Fd file = scratch_file(folder);
    for (int i = 0; i < kBlocks; ++i) {
      write_all(file, block, static_cast<off_t>(kBlock) * i);
    }
    sync(file);
  });
  return static_cast<double>(kBlock) * kBlocks / seconds;
}

double fsync_seconds(const std::string& folder) {
  const Fd file = scratch_file(folder);
  const std::vector<char> block(4096, 1);
  return best_seconds(20, [&] {
    write_all(file, block, 0);
    sync(file);
  });
}

}  // namespace trireme::launcher
