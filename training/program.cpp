#include "trireme/training/program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <future>
#include <new>

#include "trireme/cluster/worker_status.h"
#include "trireme/comm/environment.h"
#include "trireme/core/base/host.h"
#include "trireme/core/base/parallel.h"
#include "trireme/strategies/parameter_server/wire/in_process.h"
#include "trireme/training/status_signal.h"

namespace trireme::training {
namespace {

// -1: a lone process, or one whose environment is broken, which is then what the message is about.
int launched_rank() noexcept {
  try {
    const auto [rank, size] = comm::launched_rank();
    return size > 1 ? rank : -1;
  } catch (const std::exception&) {
    return -1;
  }
}

int complain(std::string_view message, ErrorKind kind, bool because_of_peer, cluster::WorkerStatus& status) {
  const int rank = launched_rank();
  if (kind == ErrorKind::failure || rank <= 0) {
    std::fprintf(stderr, "%s\n", error_line(message, kind == ErrorKind::usage ? -1 : rank, host_name()).c_str());
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
  const comm::EnvironmentOptions environment{
      .backend = options.backend,
      .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(std::max(1.0, options.timeout_seconds * 1e3))),
      .interface = options.interface};
  std::atomic<int> code{kExitDone};
  const auto run_rank = [&](comm::World world) {
    check_batch_split(options, world.size(), world.default_lanes());
    set_num_threads(static_cast<int>(options.threads));
    const auto listed = questions.list(world.communicator());
    // Threads share the process's one line to the launcher; rank 0 speaks.
    Session session(world, options, world.rank() == 0 || launched_rank() >= 0 ? status : cluster::WorkerStatus(-1));
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

// Servers as threads beside the workers'. What a server complains of is raised once the workers have ended, if they
// have no complaint of their own.
int run_with_servers(const ProgramOptions& options, const std::function<int(Session&)>& body,
                     const cluster::WorkerStatus& status) {
  namespace ps = strategies::parameter_server;
  check_batch_split(options, options.ranks, options.ranks);
  ps::InProcessHub hub;
  const auto workers = static_cast<int>(options.ranks);
  std::atomic<int> code{kExitDone};
  std::vector<std::future<void>> servers;
  for (int index = 0; index < static_cast<int>(options.servers); ++index) {
    std::shared_ptr<ps::Endpoint> endpoint = hub.join({ps::Role::server, index});
    servers.push_back(std::async(std::launch::async, [&, endpoint = std::move(endpoint)] {
      comm::run_local(1, [&](comm::World alone) {
        Session session(std::move(alone), options, cluster::WorkerStatus(-1), Session::ServerPlace{endpoint, workers});
        body(session);
      });
    }));
  }
  comm::run_local(workers, [&](comm::World world) {
    set_num_threads(static_cast<int>(options.threads));
    Session session(world, options, world.rank() == 0 ? status : cluster::WorkerStatus(-1),
                    Session::ServerPlace{hub.join({ps::Role::worker, world.rank()}), workers});
    const int mine = body(session);
    if (world.rank() == 0) {
      code = mine;
    }
  });
  for (std::future<void>& server : servers) {
    server.get();
  }
  return code;
}

}  // namespace

std::string error_line(std::string_view message, int rank, std::string_view host) {
  std::string line =
      rank < 0 ? fmt::format("error: {}", message) : fmt::format("error: rank {} on {}: {}", rank, host, message);
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
    const bool with_servers = options.strategy == "parameter_server";
    return with_servers ? run_with_servers(options, body, status) : run_ranks(options, body, status);
  } catch (const comm::CommError& error) {
    return complain(error.what(), error.kind(), true, status);
  } catch (const Error& error) {
    return complain(error.what(), error.kind(), false, status);
  } catch (const std::bad_alloc&) {
    return complain("out of memory; use a smaller model or batch, or more --accumulate", ErrorKind::failure, false,
                    status);
  } catch (const std::exception& error) {
    return complain(error.what(), ErrorKind::failure, false, status);
  } catch (...) {
    return complain("an exception of an unknown type", ErrorKind::failure, false, status);
  }
}

}  // namespace trireme::training
