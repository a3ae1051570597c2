#include "trireme/comm/shm/shared_block.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/base/fd.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme::comm::shm {
namespace {

// Where the others find rank 0's file, and what proves that it is the one: its inode.
struct Address {
  std::int64_t pid = 0;
  std::int64_t fd = -1;
  std::int64_t inode = 0;
};

std::int64_t inode_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? static_cast<std::int64_t>(status.st_ino) : 0;
}

// None, and why in `trouble`, if there is no memory file to be had.
Fd make_file(std::size_t bytes, std::string& trouble) {
  Fd fd(memfd_create("trireme-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) {
    trouble = fmt::format("memfd_create failed{}", errno_text(errno));
    return fd;
  }
  // Never to change its size: a page beyond the end would be SIGBUS.
  if (fchmod(fd.get(), 0600) != 0 || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    trouble = fmt::format("a memory file of {} bytes cannot be had{}", bytes, errno_text(errno));
    fd.reset();
  }
  return fd;
}

Fd open_file(const Address& address, std::string& trouble) {
  const std::string path = fmt::format("/proc/{}/fd/{}", address.pid, address.fd);
  Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd || inode_of(fd.get()) != address.inode) {
    trouble = fmt::format("{} of rank 0 cannot be opened{}; all ranks must run as one user on one host", path,
                          errno_text(errno));
    fd.reset();
  }
  return fd;
}

void* map_file(int fd, std::size_t bytes, std::string& trouble) {
  void* const base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (base == MAP_FAILED) {
    trouble = fmt::format("{} bytes cannot be mapped{}; raise or remove ulimit -v", bytes, errno_text(errno));
    return nullptr;
  }
  madvise(base, bytes, MADV_DONTDUMP);  // only a wish
  return base;
}

Address tell_address(Communicator& ranks, int fd) {
  const Array told = Array::zeros({3}, DType::i64);
  auto* const numbers = told.data<std::int64_t>();
  if (ranks.rank() == 0) {
    numbers[0] = getpid();
    numbers[1] = fd;
    numbers[2] = fd < 0 ? 0 : inode_of(fd);
  }
  ranks.broadcast(told, 0, {.name = "shared memory"}).wait();
  return {numbers[0], numbers[1], numbers[2]};
}

// The first rank that has trouble, or the number of ranks.
std::int64_t first_in_trouble(Communicator& ranks, bool trouble) {
  const Array verdict = Array::full({1}, trouble ? ranks.rank() : ranks.size(), DType::i64);
  ranks.all_reduce(verdict, ReduceOp::min, {.name = "shared memory"}).wait();
  return *verdict.data<std::int64_t>();
}

}  // namespace

Array allocate_shared_block(Communicator& ranks, const Shape& shape, DType dtype) {
  const Array wanted = Array::deferred(shape, dtype);
  const std::size_t bytes = std::max<std::size_t>(wanted.bytes(), 1);
  require(physical_memory() == 0 || bytes <= static_cast<std::size_t>(physical_memory()),
          "shared memory: {} bytes asked for, this machine has {}; use a smaller model", bytes, physical_memory());
  std::string trouble;
  Fd file = ranks.rank() == 0 ? make_file(bytes, trouble) : Fd();
  const Address address = tell_address(ranks, file.get());
  if (ranks.rank() != 0 && address.fd >= 0) {
    file = open_file(address, trouble);
  }
  void* const base = file ? map_file(file.get(), bytes, trouble) : nullptr;
  Array block;
  if (base != nullptr) {
    block = Array::over(Storage::adopt(base, bytes, [base, bytes] { munmap(base, bytes); }), 0, shape, dtype);
  }
  const std::int64_t culprit = first_in_trouble(ranks, base == nullptr);  // rank 0's file is open until here
  require(culprit == ranks.size(), "shared memory: rank {} cannot share {} bytes with the others{}{}", culprit, bytes,
          trouble.empty() ? "" : ": ", trouble);
  return block;
}

}  // namespace trireme::comm::shm
