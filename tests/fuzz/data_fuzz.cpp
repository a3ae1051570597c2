// Damaged data files: IDX images and labels, CIFAR records, CSV tables. The first byte chooses the format.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/data/cifar.h"
#include "trireme/core/data/csv.h"
#include "trireme/core/data/idx.h"

using namespace trireme;

namespace {

// A file in memory that datasets can open by name.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(memfd_create("fuzz", 0)) {
    if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) {
      std::abort();
    }
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::size_t cut = 1 + (size - 1) / 2;
  try {
    switch (data[0] % 3) {
      case 0: {
        const MemoryFile images(data + 1, cut - 1);
        const MemoryFile labels(data + cut, size - cut);
        data::Idx(images.path(), labels.path());
        break;
      }
      case 1: {
        const MemoryFile records(data + 1, size - 1);
        data::Cifar10({records.path()});
        break;
      }
      default: {
        const MemoryFile table(data + 1, size - 1);
        data::Csv(table.path(), {.header = false, .label = "0", .dense = {"1"}, .categories = {"2"}, .rows = 100});
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
