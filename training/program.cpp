#include "trireme/training/program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <new>

#include "trireme/cluster/worker_status.h"
#include "trireme/comm/environment.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/parallel.h"
#include "trireme/training/program_servers.h"
#include "trireme/training/status_signal.h"
#include "trireme/training/strategy_options.h"

namespace trireme::training {
namespace {

// Who this process is among those that a launcher started.
struct Speaker {
  std::string name = {};  // "rank 1", "server 0"; empty: a lone process, or a broken environment, which is then the
                          // message
  bool first = true;
};

Speaker find_speaker(std::int64_t servers) noexcept {
  try {
    const comm::ProcessRole role = comm::launched_role(static_cast<int>(servers));
    if (role.workers + role.servers == 1) {
      return {};
    }
    return {role.server ? comm::name_of(role) : fmt::format("rank {}", role.index), !role.server && role.index == 0};
  } catch (const std::exception&) {
    return {};
  }
}

int complain(std::string_view message, ErrorKind kind, bool because_of_peer, const ProgramOptions& options,
             cluster::WorkerStatus& status) {
  const Speaker speaker = find_speaker(options.servers);
  if (kind == ErrorKind::failure || speaker.first) {
    const std::string name = kind == ErrorKind::usage ? std::string() : speaker.name;
    std::fprintf(stderr, "%s\n", error_line(message, name, host_name()).c_str());
  }
  // Also a usage error, which only rank 0 prints: the launcher may end rank 0 before it comes to that.
  status.report_error(message, because_of_peer);
  return kind == ErrorKind::usage ? kExitUsage : kExitError;
}

// One rank, alone, that stands for all: Session::plan answers.
int run_plan(const ProgramOptions& options, const cluster::PlanRequest& request,
             const std::function<int(Session&)>& body) {
  request.reply(cluster::kPlanning);
  int code = kExitDone;
  comm::run_local(1, [&](comm::World world) {
    Session session(std::move(world), options, cluster::WorkerStatus(-1), request);
    code = body(session);
  });
  return code;
}

int run_ranks(const ProgramOptions& options, const std::function<int(Session&)>& body,
              const cluster::WorkerStatus& status) {
  StatusSignal questions;
  const comm::EnvironmentOptions environment = environment_options(options);
  std::atomic<int> code{kExitDone};
  const auto run_rank = [&](comm::World world) {
    check_batch_split(options, world.size(), world.default_lanes());
    set_num_threads(static_cast<int>(options.threads));
    const auto listed = questions.list(world.communicator());
    // Threads share the process's one line to the launcher; rank 0 speaks.
    Session session(world, options,
                    world.rank() == 0 || options.backend != "local" ? status : cluster::WorkerStatus(-1));
    const int mine = body(session);
    if (world.rank() == 0) {
      code = mine;
    }
  };
  if (options.backend == "local") {
    // Checked before there are ranks, so that the message does not come from the middle of them.
    check_batch_split(options, options.ranks, options.ranks);
    comm::run_local(static_cast<int>(options.ranks), run_rank, environment);
  } else {
    run_rank(comm::from_environment(environment));
  }
  return code;
}

}  // namespace

std::string error_line(std::string_view message, std::string_view who, std::string_view host) {
  std::string line =
      who.empty() ? fmt::format("error: {}", message) : fmt::format("error: {} on {}: {}", who, host, message);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

int run_program(int argc, const char* const* argv, OptionParser& parser, ProgramOptions& options,
                const std::function<int(Session&)>& body) noexcept {
  cluster::WorkerStatus status = cluster::WorkerStatus::from_environment();
  try {
    const auto request = cluster::PlanRequest::from_environment();
    if (!parser.parse(argc, argv)) {
      return kExitDone;
    }
    if (request) {
      return run_plan(options, *request, body);
    }
    if (options.strategy != "parameter_server") {
      return run_ranks(options, body, status);
    }
    return options.backend == "local" ? run_threads_with_servers(options, body, status)
                                      : run_process_with_servers(options, body, status);
  } catch (const comm::CommError& error) {
    return complain(error.what(), error.kind(), true, options, status);
  } catch (const Error& error) {
    return complain(error.what(), error.kind(), false, options, status);
  } catch (const std::bad_alloc&) {
    return complain("out of memory; use a smaller model or batch, or more --accumulate", ErrorKind::failure, false,
                    options, status);
  } catch (const std::exception& error) {
    return complain(error.what(), ErrorKind::failure, false, options, status);
  } catch (...) {
    return complain("an exception of an unknown type", ErrorKind::failure, false, options, status);
  }
}

}  // namespace trireme::training
