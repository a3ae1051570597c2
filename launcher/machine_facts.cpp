#include "trireme/launcher/machine_facts.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "trireme/cluster/text_file.h"
#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/memory_limit.h"
#include "trireme/launcher/bench.h"
#include "trireme/launcher/command_output.h"
#include "trireme/launcher/fd.h"
#include "trireme/launcher/machine.h"

namespace trireme::launcher {
namespace {

// The rest of the first line that starts with `key`, behind its ':'.
std::string field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string_view::npos) {
      const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
      return std::string(begin == std::string_view::npos ? std::string_view{} : line.substr(begin));
    }
  }
  return {};
}

std::int64_t leading_number(std::string_view text, std::int64_t otherwise) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? value : otherwise;
}

std::int64_t soft_limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  const bool unlimited = ::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY;
  return unlimited ? -1 : static_cast<std::int64_t>(limit.rlim_cur);
}

std::vector<std::string> vector_instruction_sets(std::string_view flags) {
  std::vector<std::string> found;
  while (!flags.empty()) {
    const std::string_view word = flags.substr(0, flags.find(' '));
    flags.remove_prefix(std::min(flags.size(), word.size() + 1));
    if (word.starts_with("avx") || word.starts_with("amx") || word == "fma" || word == "f16c" || word == "sse4_2") {
      found.emplace_back(word);
    }
  }
  return found;
}

// A listener, and a connection to it.
void look_at_loopback(MachineFacts& facts) {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  facts.loopback_port = listener && ::bind(listener.get(), generic, length) == 0 && ::listen(listener.get(), 1) == 0 &&
                        ::getsockname(listener.get(), generic, &length) == 0;
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!facts.loopback_port || !client) {
    return;
  }
  const bool connected = ::connect(client.get(), generic, length) == 0;
  pollfd ready{client.get(), POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  facts.loopback_reached =
      connected || (errno == EINPROGRESS && ::poll(&ready, 1, 1000) == 1 &&
                    ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
}

void look_at_network(MachineFacts& facts, const std::string& interface) {
  look_at_loopback(facts);
  for (const comm::Interface& one : comm::interfaces()) {
    facts.interfaces.push_back(one.name + " " + one.address);
  }
  facts.outward_address = comm::outward_address();
  try {
    if (!interface.empty()) {
      facts.outward_address = comm::address_of_interface(interface, false);
    }
  } catch (const Error& error) {
    facts.interface_error = error.what();
  }
}

void look_at_shared_memory(MachineFacts& facts) {
  const Fd file(::memfd_create("trireme", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  facts.memory_files = file && ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0;
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  facts.process_descriptors = static_cast<bool>(process);
  struct statvfs shm {};
  if (::statvfs("/dev/shm", &shm) == 0 && ::access("/dev/shm", W_OK) == 0) {
    facts.shm_bytes = static_cast<std::int64_t>(shm.f_blocks * shm.f_frsize);
    facts.shm_free_bytes = static_cast<std::int64_t>(shm.f_bavail * shm.f_frsize);
  }
}

bool can_load(const char* library) {
  void* const handle = ::dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  if (handle != nullptr) {
    ::dlclose(handle);
  }
  return handle != nullptr;
}

MpiFacts look_at_mpi() {
  const auto told = [](const char* name) { return ::getenv(name) != nullptr; };
  return {
      .built = comm::has_mpi(),
      .library = can_load("libmpi.so.40"),
      .mpirun = first_line_of({"mpirun", "--version"}, std::chrono::seconds(5)),
      .refuses_root = ::geteuid() == 0 && !(told("OMPI_ALLOW_RUN_AS_ROOT") && told("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"))};
}

GpuFacts look_at_gpu() {
  GpuFacts gpu{.driver = {}, .device_nodes = 0, .cuda_library = can_load("libcuda.so.1")};
  const std::string version = cluster::read_text_file("/proc/driver/nvidia/version").value_or("");
  const std::size_t module = version.find("Kernel Module");
  if (module != std::string::npos) {
    const std::size_t begin = version.find_first_of("0123456789", module);
    gpu.driver = begin == std::string::npos ? "of unknown version"
                                            : version.substr(begin, version.find_first_of(" \n", begin) - begin);
  }
  while (::access(fmt::format("/dev/nvidia{}", gpu.device_nodes).c_str(), F_OK) == 0) {
    ++gpu.device_nodes;
  }
  return gpu;
}

DiskFacts look_at_disk(const std::string& folder) {
  DiskFacts disk{.folder = folder};
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) == 0) {
    disk.free_bytes = static_cast<std::int64_t>(space.f_bavail * space.f_frsize);
  }
  try {
    disk.write_bytes_per_second = write_bandwidth(folder);
    disk.fsync_seconds = fsync_seconds(folder);
  } catch (const Error& error) {
    disk.error = error.what();
  }
  return disk;
}

}  // namespace

MachineFacts look_at_machine(const std::string& folder, const std::string& interface) {
  MachineFacts facts;
  const std::string cpu = cluster::read_text_file("/proc/cpuinfo").value_or("");
  facts.processor = field(cpu, "model name");
  facts.instruction_sets = vector_instruction_sets(field(cpu, "flags"));
  facts.cores_online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  facts.cores_usable = usable_cores();
  const std::string memory = cluster::read_text_file("/proc/meminfo").value_or("");
  facts.memory_bytes = leading_number(field(memory, "MemTotal"), 0) * 1024;
  facts.memory_available_bytes = leading_number(field(memory, "MemAvailable"), 0) * 1024;
  const MemoryLimit limit =
      cgroup_limit(memory_cgroup_folder(cluster::read_text_file("/proc/self/cgroup").value_or("")));
  facts.cgroup_limit_bytes = limit.bytes > 0 ? limit.bytes : -1;
  look_at_shared_memory(facts);
  facts.locked_memory_limit = soft_limit(RLIMIT_MEMLOCK);
  facts.open_files_limit = soft_limit(RLIMIT_NOFILE);
  facts.processes_limit = soft_limit(RLIMIT_NPROC);
  facts.address_space_limit = soft_limit(RLIMIT_AS);
  look_at_network(facts, interface);
  facts.gloo = comm::has_gloo();
  facts.mpi = look_at_mpi();
  facts.gpu = look_at_gpu();
  facts.disk = look_at_disk(folder);
  return facts;
}

}  // namespace trireme::launcher
