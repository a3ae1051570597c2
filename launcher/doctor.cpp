#include "trireme/launcher/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "trireme/comm/environment.h"
#include "trireme/core/base/bytes_text.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/instruction_set.h"
#include "trireme/launcher/command_line-inl.h"
#include "trireme/launcher/rank_comparison.h"

namespace trireme::launcher {
namespace {

struct DoctorOptions {
  std::string folder = ".";
  std::string interface;
  std::string backend = "auto";
};

const char* yes_or_no(bool yes) { return yes ? "yes" : "no"; }
std::string limit_text(std::int64_t limit) { return limit < 0 ? "unlimited" : std::to_string(limit); }
std::string byte_limit_text(std::int64_t limit) { return limit < 0 ? "unlimited" : bytes_text(limit); }
std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

void print_machine(const MachineFacts& facts) {
  fmt::print("trireme {} on {}\n", TRIREME_VERSION, host_name());
  fmt::print("\nProcessor\n  {}\n  cores: {} usable by this process, {} online\n", facts.processor, facts.cores_usable,
             facts.cores_online);
  fmt::print("  instruction sets: {}\n", fmt::join(facts.instruction_sets, " "));
  fmt::print("  in use by the kernels: {}; bf16 products by {} instructions\n", kernel_instruction_set(),
             native_bf16() ? "bf16" : "f32");
  fmt::print("\nMemory\n  physical {}, available {}, cgroup limit {}\n", bytes_text(facts.memory_bytes),
             bytes_text(facts.memory_available_bytes), bytes_text(facts.cgroup_limit_bytes));
  fmt::print("  shared memory files (memfd): {}, /dev/shm {}, free {}\n", yes_or_no(facts.memory_files),
             bytes_text(facts.shm_bytes), bytes_text(facts.shm_free_bytes));
  fmt::print("\nLimits\n  open files {}, processes and threads {}\n  locked memory {}, addresses {}\n",
             limit_text(facts.open_files_limit), limit_text(facts.processes_limit),
             byte_limit_text(facts.locked_memory_limit), byte_limit_text(facts.address_space_limit));
}

void print_communication(const MachineFacts& facts) {
  fmt::print("\nNetwork\n  loopback: a port can be had {}, and reached {}\n", yes_or_no(facts.loopback_port),
             yes_or_no(facts.loopback_reached));
  fmt::print("  interfaces: {}\n", fmt::join(facts.interfaces, ", "));
  fmt::print("  other hosts reach this one by {} (--interface chooses)\n", or_none(facts.outward_address));
  fmt::print("\nBackends\n  local (ranks as threads), shm (one host): yes\n  gloo: {}\n",
             facts.gloo ? "built" : "not built (Debian: libgloo-dev, then build again)");
  fmt::print("  mpi: {}, libmpi.so.40 {}, mpirun {}\n", facts.mpi.built ? "built" : "not built",
             facts.mpi.library ? "can be loaded" : "is not there", or_none(facts.mpi.mpirun));
  fmt::print("  GPU: NVIDIA driver {}, {} device(s), libcuda.so.1 {}; CUDA and NCCL are not built yet\n",
             or_none(facts.gpu.driver), facts.gpu.device_nodes,
             facts.gpu.cuda_library ? "can be loaded" : "is not there");
  fmt::print("\nDisk ({})\n  free {}", facts.disk.folder, bytes_text(facts.disk.free_bytes));
  if (facts.disk.error.empty()) {
    fmt::print(", writes {:.0f} MB/s with fsync, 4 KiB with fsync in {:.2f} ms",
               facts.disk.write_bytes_per_second / 1e6, facts.disk.fsync_seconds * 1e3);
  }
  fmt::print("\n");
}

void print_ranks(const std::vector<RankFacts>& ranks, std::string_view backend) {
  fmt::print("\nRanks ({}, backend {})\n", ranks.size(), backend);
  for (const RankFacts& one : ranks) {
    fmt::print("  rank {} on {}: build {}, {}, {} cores, clock {:+.6f} s (within {:.6f})\n", one.rank, one.host,
               one.build, one.instruction_set, one.cores_usable, one.clock_ahead_seconds, one.clock_error_seconds);
  }
}

// Prints; returns the exit code.
int print_advice(const Advices& advice) {
  fmt::print("\nAdvice\n");
  for (const Advice& one : advice) {
    fmt::print("  {}: {}\n", one.blocking ? "must change" : "may change", one.text);
  }
  if (advice.empty()) {
    fmt::print("  nothing to change\n");
  }
  return std::any_of(advice.begin(), advice.end(), [](const Advice& one) { return one.blocking; }) ? 1 : 0;
}

// What the other hosts say of themselves: each host's first rank speaks for it.
void add_other_hosts(const std::vector<RankFacts>& ranks, Advices& advice) {
  std::set<std::string> heard = {ranks[0].host};
  for (const RankFacts& one : ranks) {
    if (heard.insert(one.host).second) {
      for (const Advice& own : one.own) {
        advice.push_back({own.blocking, fmt::format("on {}: {}", one.host, own.text)});
      }
    }
  }
}

// Rank 0 tells; the others only give their facts.
int examine_ranks(const MachineFacts& facts, const DoctorOptions& options, int rank) {
  RankFacts own{.rank = rank,
                .host = host_name(),
                .build = build_of_this_program(),
                .instruction_set = kernel_instruction_set(),
                .cores_usable = facts.cores_usable,
                .own = advise(facts)};
  Advices advice = own.own;
  try {
    const comm::World world = comm::from_environment(
        {.backend = options.backend, .timeout = std::chrono::seconds(30), .interface = options.interface});
    const std::vector<RankFacts> ranks = exchange_facts(*world.communicator(), own);
    if (rank != 0) {
      return 0;
    }
    print_ranks(ranks, world->backend());
    add_other_hosts(ranks, advice);
    const Advices compared = compare_ranks(ranks);
    advice.insert(advice.end(), compared.begin(), compared.end());
  } catch (const Error& error) {
    if (rank != 0) {
      throw;
    }
    advice.push_back({true, fmt::format("the ranks cannot work together: {}", error.what())});
  }
  return print_advice(advice);
}

bool parse(const std::vector<std::string>& arguments, DoctorOptions& options) {
  CLI::App app("Shows what this machine and this build can do, and says what to change.", "trireme doctor");
  app.add_option("--dir", options.folder, "Where checkpoints would go: its space and speed are looked at")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--interface", options.interface, "The network interface that other hosts would reach");
  app.add_option("--backend", options.backend, "Over which the ranks of a job are compared")->capture_default_str();
  app.footer(
      "Examples:\n  trireme doctor --dir /scratch/checkpoints\n"
      "  srun -N 2 trireme doctor              the ranks of a launcher are compared too: builds, clocks, instructions\n"
      "  trireme run --nproc-per-node 2 -- trireme doctor\n"
      "Exit code: 0 training works here, 1 something must change.");
  if (const auto help = parse_or_help(app, arguments)) {
    fmt::print("{}", *help);
    return false;
  }
  return true;
}

}  // namespace

int run_doctor(const std::vector<std::string>& arguments) {
  DoctorOptions options;
  if (!parse(arguments, options)) {
    return 0;
  }
  const comm::LaunchedRank launched = comm::launched_rank();
  const MachineFacts facts = look_at_machine(options.folder, options.interface);
  if (launched.rank == 0) {
    print_machine(facts);
    print_communication(facts);
  }
  return launched.size > 1 ? examine_ranks(facts, options, launched.rank) : print_advice(advise(facts));
}

}  // namespace trireme::launcher
