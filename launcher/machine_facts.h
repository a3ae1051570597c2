// What `trireme doctor` sees of this machine; advice.h says what follows from it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme::launcher {

struct DiskFacts {
  std::string folder;
  std::int64_t free_bytes = -1;
  double write_bytes_per_second = 0;
  double fsync_seconds = 0;
  std::string error = {};  // why it cannot be written; empty: it can
};

struct GpuFacts {
  std::string driver;         // its version; empty: none loaded
  int device_nodes = 0;       // /dev/nvidia0, /dev/nvidia1, ...
  bool cuda_library = false;  // libcuda.so.1 can be loaded
};

struct MpiFacts {
  bool built = false;         // this build has the backend
  bool library = false;       // libmpi.so.40 (Open MPI) can be loaded
  std::string mpirun = {};    // the first line of `mpirun --version`; empty: there is none
  bool refuses_root = false;  // this is root, and Open MPI's mpirun was not told that it may
};

struct MachineFacts {
  std::string processor;
  std::vector<std::string> instruction_sets;
  int cores_online = 0;
  int cores_usable = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t memory_available_bytes = 0;
  std::int64_t cgroup_limit_bytes = -1;  // -1: none
  bool memory_files = false;             // memfd_create with seals: what backend shm is made of
  bool process_descriptors = false;      // pidfd_open: how deaths are noticed
  std::int64_t shm_bytes = -1;           // -1: no /dev/shm
  std::int64_t shm_free_bytes = -1;
  std::int64_t locked_memory_limit = -1;  // -1: unlimited, as below
  std::int64_t open_files_limit = -1;
  std::int64_t processes_limit = -1;
  std::int64_t address_space_limit = -1;
  bool loopback_port = false;           // one can be had
  bool loopback_reached = false;        // and connected to
  std::vector<std::string> interfaces;  // "eth0 10.0.0.5"
  std::string outward_address;
  std::string interface_error;  // why --interface cannot be used; empty: it can, or was not given
  bool gloo = false;            // this build has it
  MpiFacts mpi;
  GpuFacts gpu;
  DiskFacts disk;
};

// `folder`: where checkpoints would go; about a second is spent on measuring it. `interface`: what --interface would
// be; empty: none.
MachineFacts look_at_machine(const std::string& folder, const std::string& interface);

}  // namespace trireme::launcher
