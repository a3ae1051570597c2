#include "trireme/launcher/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/instruction_set.h"
#include "trireme/launcher/machine.h"

namespace trireme::launcher {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

std::string count_text(std::int64_t limit) { return limit < 0 ? "unlimited" : std::to_string(limit); }

void print_facts(const MachineFacts& facts) {
  fmt::print("trireme {} on {}\n", TRIREME_VERSION, host_name());
  fmt::print("\nProcessor\n  {}\n  cores: {} usable by this process, {} online\n", facts.processor, facts.cores_usable,
             facts.cores_online);
  fmt::print("  instruction sets: {}\n", fmt::join(facts.instruction_sets, " "));
  fmt::print("  in use by the kernels: {}\n", kernel_instruction_set());
  fmt::print("\nMemory\n  physical {}, available {}, cgroup limit {}\n", bytes_text(facts.memory_bytes),
             bytes_text(facts.memory_available_bytes), bytes_text(facts.cgroup_limit_bytes));
  fmt::print("  /dev/shm {}, free {}\n", bytes_text(facts.shm_bytes), bytes_text(facts.shm_free_bytes));
  fmt::print("  locked memory limit {}\n",
             facts.locked_memory_limit < 0 ? "unlimited" : bytes_text(facts.locked_memory_limit));
  fmt::print("\nLimits\n  open files {}\n  a free loopback port: {}\n", count_text(facts.open_files_limit),
             facts.loopback_port ? "yes" : "no");
  fmt::print("\nThis build\n  communication: local (ranks as threads), shm (one host)\n");
  fmt::print("  not built yet: MPI, Gloo, CUDA, NCCL\n");
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 0) {
    return "none";
  }
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::vector<Advice> advise(const MachineFacts& facts) {
  std::vector<Advice> advice;
  const auto has = [&](const char* name) {
    return std::find(facts.instruction_sets.begin(), facts.instruction_sets.end(), name) !=
           facts.instruction_sets.end();
  };
  if (!facts.loopback_port) {
    advice.push_back(
        {true, "no port of the loopback interface can be had: ranks cannot find each other; `ip link set lo up`"});
  }
  if (facts.shm_bytes < 0) {
    advice.push_back(
        {true, "/dev/shm is missing or read-only: ranks of this host cannot share memory; mount a tmpfs there"});
  } else if (facts.shm_free_bytes < kGiB) {
    advice.push_back(
        {false, fmt::format("/dev/shm has only {} free, and a full one kills ranks with SIGBUS; enlarge it "
                            "(`mount -o remount,size=8G /dev/shm`, `docker run --shm-size=8g`)",
                            bytes_text(facts.shm_free_bytes))});
  }
  if (!has("avx2")) {
    advice.push_back({false, "the processor has no AVX2: everything runs, several times slower"});
  }
  if (facts.cores_usable < facts.cores_online) {
    advice.push_back(
        {false, fmt::format("this process may use {} of {} cores (affinity); ask the batch system for more, "
                            "or start that many ranks",
                            facts.cores_usable, facts.cores_online)});
  }
  constexpr std::int64_t kFewFiles = 1024;
  if (facts.open_files_limit >= 0 && facts.open_files_limit < kFewFiles) {
    advice.push_back({false, fmt::format("only {} open files are allowed; a rank needs about 8 in the launcher: "
                                         "`ulimit -n 4096` for many ranks",
                                         facts.open_files_limit)});
  }
  if (facts.cgroup_limit_bytes >= 0 && facts.cgroup_limit_bytes < 2 * kGiB) {
    advice.push_back(
        {false, fmt::format("the cgroup allows {} of memory; beyond it the kernel kills ranks with SIGKILL",
                            bytes_text(facts.cgroup_limit_bytes))});
  }
  return advice;
}

int run_doctor(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h")) {
    fmt::print(
        "Usage: trireme doctor\n\nShows which instruction sets run, cores, memory, limits and what this build can do, "
        "and "
        "says what to change.\nExit code: 0 training works here, 1 it cannot.\n");
    return 0;
  }
  if (!arguments.empty()) {
    fail_usage("trireme doctor: '{}' given; it takes no arguments", arguments.front());
  }
  const MachineFacts facts = look_at_machine();
  print_facts(facts);
  const std::vector<Advice> advice = advise(facts);
  fmt::print("\nAdvice\n");
  for (const Advice& one : advice) {
    fmt::print("  {}: {}\n", one.blocking ? "must change" : "may change", one.text);
  }
  if (advice.empty()) {
    fmt::print("  nothing to change\n");
  }
  return std::any_of(advice.begin(), advice.end(), [](const Advice& one) { return one.blocking; }) ? 1 : 0;
}

}  // namespace trireme::launcher
