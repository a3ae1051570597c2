#include "trireme/launcher/advice.h"

#include <fmt/format.h>

#include <algorithm>

#include "trireme/core/base/bytes_text.h"

namespace trireme::launcher {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

}  // namespace

Advices check_processor(const MachineFacts& facts) {
  Advices advice;
  const auto& sets = facts.instruction_sets;
  if (std::find(sets.begin(), sets.end(), "avx2") == sets.end()) {
    advice.push_back({false, "the processor has no AVX2: everything runs, several times slower"});
  }
  if (facts.cores_usable < facts.cores_online) {
    advice.push_back(
        {false, fmt::format("this process may use {} of {} cores (affinity); ask the batch system for more, "
                            "or start that many ranks",
                            facts.cores_usable, facts.cores_online)});
  }
  return advice;
}

Advices check_memory(const MachineFacts& facts) {
  if (facts.cgroup_limit_bytes >= 0 && facts.cgroup_limit_bytes < 2 * kGiB) {
    return {{false, fmt::format("the cgroup allows {} of memory; beyond it the kernel kills ranks with SIGKILL",
                                bytes_text(facts.cgroup_limit_bytes))}};
  }
  return {};
}

Advices check_shared_memory(const MachineFacts& facts) {
  Advices advice;
  if (!facts.memory_files) {
    advice.push_back({true,
                      "no memory file can be made (memfd_create with seals): backend shm cannot work; use a "
                      "kernel from 3.17 on, allow the call in the container's seccomp profile, or use --backend "
                      "gloo"});
  }
  if (!facts.process_descriptors) {
    advice.push_back({true,
                      "no process can be watched (pidfd_open): `trireme run` and backend shm need Linux 5.3, and "
                      "a seccomp profile that allows the call"});
  }
  if (facts.shm_bytes < 0) {
    advice.push_back({false,
                      "/dev/shm is missing or read-only; Trireme does not need it, but MPI and other programs "
                      "do: mount a tmpfs there"});
  } else if (facts.shm_free_bytes < kGiB) {
    advice.push_back({false, fmt::format("/dev/shm has only {} free; Trireme does not use it, but MPI does, and a full "
                                         "one kills ranks with SIGBUS: enlarge it (`mount -o remount,size=8G "
                                         "/dev/shm`, `docker run --shm-size=8g`)",
                                         bytes_text(facts.shm_free_bytes))});
  }
  if (facts.address_space_limit >= 0) {
    advice.push_back({false, fmt::format("addresses are limited to {} (`ulimit -v`), and backend shm reserves the "
                                         "memory of the machine for each rank: `ulimit -v unlimited`",
                                         bytes_text(facts.address_space_limit))});
  }
  return advice;
}

Advices check_limits(const MachineFacts& facts) {
  Advices advice;
  constexpr std::int64_t kFewFiles = 1024;
  if (facts.open_files_limit >= 0 && facts.open_files_limit < kFewFiles) {
    advice.push_back(
        {false, fmt::format("only {} open files are allowed; a rank needs about 8 in the launcher, and one "
                            "for each peer: `ulimit -n 4096` for many ranks",
                            facts.open_files_limit)});
  }
  constexpr std::int64_t kFewProcesses = 512;
  if (facts.processes_limit >= 0 && facts.processes_limit < kFewProcesses) {
    advice.push_back({false, fmt::format("only {} processes and threads are allowed (`ulimit -u`); a rank has about 8 "
                                         "threads: raise it for many ranks",
                                         facts.processes_limit)});
  }
  return advice;
}

Advices check_network(const MachineFacts& facts) {
  Advices advice;
  if (!facts.loopback_port) {
    advice.push_back(
        {true, "no port of the loopback interface can be had: ranks cannot find each other; `ip link set lo up`"});
  } else if (!facts.loopback_reached) {
    advice.push_back({true,
                      "a port of the loopback interface can be had but not reached: ranks cannot find each other; "
                      "let the firewall pass packets of interface lo"});
  }
  if (!facts.interface_error.empty()) {
    advice.push_back({true, facts.interface_error});
  }
  return advice;
}

Advices check_mpi(const MpiFacts& mpi) {
  Advices advice;
  const bool open_mpi =
      mpi.mpirun.find("Open MPI") != std::string::npos || mpi.mpirun.find("OpenRTE") != std::string::npos;
  if (mpi.built && !mpi.mpirun.empty() && !mpi.library) {
    advice.push_back({false,
                      "there is an mpirun but no libmpi.so.40: --backend mpi cannot work; install Open MPI's "
                      "library (Debian: libopenmpi3)"});
  }
  if (mpi.built && mpi.library && !mpi.mpirun.empty() && !open_mpi) {
    advice.push_back(
        {false, fmt::format("mpirun is \"{}\", and libmpi.so.40 is Open MPI's: ranks would each be a world "
                            "of one; use Open MPI's mpirun (Debian: openmpi-bin)",
                            mpi.mpirun)});
  }
  if (mpi.library && open_mpi && mpi.refuses_root) {
    advice.push_back({false,
                      "this is root, and mpirun refuses to start anything as root: set "
                      "OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, or be another user"});
  }
  return advice;
}

Advices check_gpu(const GpuFacts& gpu) {
  if (!gpu.driver.empty() && gpu.device_nodes == 0) {
    return {
        {false, fmt::format("the NVIDIA driver {} is loaded, but there is no /dev/nvidia0: start the container with "
                            "its GPUs (`docker run --gpus all`), or run nvidia-modprobe",
                            gpu.driver)}};
  }
  if (gpu.device_nodes > 0 && !gpu.cuda_library) {
    return {{false, "there are GPUs but no libcuda.so.1: install the driver's user libraries (Debian: libcuda1)"}};
  }
  return {};
}

Advices check_disk(const DiskFacts& disk) {
  if (!disk.error.empty()) {
    return {{true, fmt::format("checkpoints cannot be written to {}: {}", disk.folder, disk.error)}};
  }
  Advices advice;
  if (disk.free_bytes >= 0 && disk.free_bytes < 2 * kGiB) {
    advice.push_back(
        {false, fmt::format("{} has only {} free; a checkpoint of P parameters takes 12 P bytes with Adam, "
                            "and --keep 3 keeps three: choose another --checkpoint-dir",
                            disk.folder, bytes_text(disk.free_bytes))});
  }
  constexpr double kSlowDisk = 50e6;
  if (disk.write_bytes_per_second > 0 && disk.write_bytes_per_second < kSlowDisk) {
    advice.push_back({false, fmt::format("{} takes {:.0f} MB/s; saving a GiB lasts {:.0f} s (training goes on "
                                         "meanwhile): choose a larger --save-every or a faster disk",
                                         disk.folder, disk.write_bytes_per_second / 1e6,
                                         static_cast<double>(kGiB) / disk.write_bytes_per_second)});
  }
  return advice;
}

Advices advise(const MachineFacts& facts) {
  Advices all;
  for (const Advices& some :
       {check_network(facts), check_shared_memory(facts), check_processor(facts), check_memory(facts),
        check_limits(facts), check_mpi(facts.mpi), check_gpu(facts.gpu), check_disk(facts.disk)}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace trireme::launcher
