// Memory between the caller's array and MPI's own reduction, for when a deadline passes: MPI cannot give a started
// reduction up, so its memory must not be the caller's. Part of the sources of comm/mpi.
#pragma once

#include <cstddef>
#include <memory>

#include "trireme/comm/mpi/mpi_link-inl.h"

namespace trireme::comm {

struct MpiLink::Scratch {
  static constexpr std::size_t kBytes = 4 << 20;
  std::unique_ptr<std::byte[]> in = std::make_unique_for_overwrite<std::byte[]>(kBytes);
  std::unique_ptr<std::byte[]> out = std::make_unique_for_overwrite<std::byte[]>(kBytes);
};

}  // namespace trireme::comm
