#include "trireme/training/program_servers.h"

#include <atomic>
#include <future>

#include "trireme/comm/environment.h"
#include "trireme/comm/environment/job_store.h"
#include "trireme/core/base/log.h"
#include "trireme/core/base/parallel.h"
#include "trireme/strategies/parameter_server/wire/in_process.h"
#include "trireme/strategies/parameter_server/wire/wire.h"
#include "trireme/training/status_signal.h"
#include "trireme/training/stop_signals.h"
#include "trireme/training/strategy_options.h"

namespace trireme::training {
namespace {

namespace ps = strategies::parameter_server;

int run_as_worker(const comm::World& world, const ProgramOptions& options, const ProgramBody& body,
                  const cluster::WorkerStatus& status, const Session::ServerPlace& place) {
  check_batch_split(options, world.size(), world.default_lanes());
  set_num_threads(static_cast<int>(options.threads));
  Session session(world, options, status, place);
  return body(session);
}

int run_as_server(const ProgramOptions& options, const ProgramBody& body, const cluster::WorkerStatus& status,
                  const Session::ServerPlace& place) {
  int code = kExitDone;
  comm::run_local(1, [&](const comm::World& alone) {
    set_num_threads(static_cast<int>(options.threads));
    Session session(alone, options, status, place);
    code = body(session);
  });
  return code;
}

// What carries the workers' collectives also says what may carry parcels.
std::string carrier_of(const std::string& backend) {
  return backend == "shm" ? "shm" : backend == "gloo" ? "grpc" : "auto";
}

std::shared_ptr<ps::Endpoint> open_endpoint(const ProgramOptions& options, const comm::ProcessRole& role) {
  const comm::JobStore job = comm::open_job_store(role, environment_options(options).timeout);
  return ps::open_wire(
      {.self = {role.server ? ps::Role::server : ps::Role::worker, role.index},
       .workers = role.workers,
       .servers = role.servers,
       .store = job.store,
       .generation = std::to_string(cluster::restart_count_from_environment()),
       .token = job.token,
       .carrier = carrier_of(options.backend),
       .interface = options.interface,
       .tls = {.certificate = options.tls_certificate, .key = options.tls_key, .authority = options.tls_authority}});
}

}  // namespace

int run_threads_with_servers(const ProgramOptions& options, const ProgramBody& body,
                             const cluster::WorkerStatus& status) {
  check_batch_split(options, options.ranks, options.ranks);
  ps::InProcessHub hub;
  const auto workers = static_cast<int>(options.ranks);
  const auto count = static_cast<int>(options.servers);
  std::atomic<int> code{kExitDone};
  std::vector<std::future<int>> servers;
  for (int index = 0; index < count; ++index) {
    std::shared_ptr<ps::Endpoint> endpoint = hub.join({ps::Role::server, index});
    servers.push_back(std::async(std::launch::async, [&options, &body, workers, count, endpoint = std::move(endpoint)] {
      return run_as_server(options, body, cluster::WorkerStatus(-1), {endpoint, workers, count});
    }));
  }
  comm::run_local(workers, [&](const comm::World& world) {
    const int mine = run_as_worker(world, options, body, world.rank() == 0 ? status : cluster::WorkerStatus(-1),
                                   {hub.join({ps::Role::worker, world.rank()}), workers, count});
    if (world.rank() == 0) {
      code = mine;
    }
  });
  for (std::future<int>& server : servers) {
    server.get();
  }
  return code;
}

int run_process_with_servers(const ProgramOptions& options, const ProgramBody& body,
                             const cluster::WorkerStatus& status) {
  StatusSignal questions;
  const comm::ProcessRole role = comm::launched_role(static_cast<int>(options.servers));
  if (role.server) {
    log::set_prefix(comm::name_of(role));
    const StopSignals workers_decide;  // when it is over: a server serves until they have left
    const int code = run_as_server(options, body, status, {open_endpoint(options, role), role.workers, role.servers});
    StopSignals::stay();
    return code;
  }
  comm::EnvironmentOptions environment = environment_options(options);
  environment.servers = static_cast<int>(options.servers);
  const Session::ServerPlace place{open_endpoint(options, role), role.workers, role.servers};
  const comm::World world = comm::from_environment(environment);
  const auto listed = questions.list(world.communicator());
  return run_as_worker(world, options, body, status, place);
}

}  // namespace trireme::training
