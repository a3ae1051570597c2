#include "trireme/launcher/bench.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "trireme/core/base/error.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/instruction_set.h"
#include "trireme/launcher/bench_collectives.h"
#include "trireme/launcher/command_line-inl.h"
#include "trireme/launcher/machine.h"

namespace trireme::launcher {
namespace {

constexpr const char* kHelp =
    "Measures what the machine itself can do, in about five seconds; every speed figure should be read against these.\n"
    "Other programs on the machine make the figures worse: run it when the machine is idle.";

void line(const char* what, double value, const char* unit) { fmt::print("  {:<44}{:>10.2f} {}\n", what, value, unit); }

void bench_machine(const std::string& folder) {
  constexpr std::size_t kLarge = std::size_t{256} << 20;
  constexpr std::size_t kCached = std::size_t{4} << 20;
  const int cores = usable_cores();
  const double disk = write_bandwidth(folder);  // first: a folder that cannot be written is known at once
  fmt::print("{} ({} cores usable, kernels {})\n\nArithmetic\n", host_name(), cores, kernel_instruction_set());
  line("f32 multiply-add peak, one core", fma_peak(1), "GF/s");
  line("f32 multiply-add peak, all cores", fma_peak(cores), "GF/s");
  fmt::print("\nMemory (bytes copied or read)\n");
  line("copy 256 MiB, one core", copy_bandwidth(1, kLarge) / 1e9, "GB/s");
  line("copy 256 MiB, two cores", copy_bandwidth(2, kLarge / 2) / 1e9, "GB/s");
  line("copy 4 MiB, one core", copy_bandwidth(1, kCached) / 1e9, "GB/s");
  line("copy 4 MiB, two cores", copy_bandwidth(2, kCached) / 1e9, "GB/s");
  line("read 256 MiB, one core", read_bandwidth(1, kLarge) / 1e9, "GB/s");
  line("read 256 MiB, two cores", read_bandwidth(2, kLarge / 2) / 1e9, "GB/s");
  line("new page of 4 KiB, private", page_fault_seconds(false) * 1e6, "us");
  line("new page of 4 KiB, shared", page_fault_seconds(true) * 1e6, "us");
  fmt::print("\nWaiting\n");
  line("barrier of two, spinning", barrier_seconds() * 1e6, "us");
  line("futex wake, one way (median)", futex_wake_seconds() * 1e6, "us");
  line("pipe, there and back", pipe_round_trip_seconds() * 1e6, "us");
  fmt::print("\nDisk ({})\n", folder);
  line("write 64 MiB and fsync", disk / 1e6, "MB/s");
  line("write 4 KiB and fsync", fsync_seconds(folder) * 1e3, "ms");
}

int run_machine_bench(const std::vector<std::string>& arguments) {
  std::string what;
  std::string folder = ".";
  CLI::App app(kHelp, "trireme bench");
  app.add_option("WHAT", what,
                 "machine, or a collective: all_reduce, reduce_scatter, all_gather, all_to_all, "
                 "broadcast, barrier")
      ->required();
  app.add_option("--dir", folder, "Where the disk is measured, as a rule the folder of the checkpoints")
      ->type_name("DIR")
      ->capture_default_str();
  app.footer(
      "Examples:\n  trireme bench machine --dir /scratch/checkpoints\n  trireme bench all_reduce --ranks 2\n"
      "`trireme bench all_reduce --help` lists the options of the collectives.");
  if (const auto help = parse_or_help(app, arguments)) {
    fmt::print("{}", *help);
    return 0;
  }
  bench_machine(folder);
  return 0;
}

}  // namespace

int run_bench(const std::vector<std::string>& arguments) {
  const bool of_machine = arguments.empty() || arguments.front() == "machine" || arguments.front().starts_with("-");
  return of_machine ? run_machine_bench(arguments) : bench_collectives(arguments);
}

}  // namespace trireme::launcher
