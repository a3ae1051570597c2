#include "trireme/comm/environment/role.h"

#include "trireme/comm/environment.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

ProcessRole role_by_name(const Variables& variables, int given) {
  ProcessRole role;
  role.servers = variables.number("TRIREME_SERVERS", 1, kMaxWorldSize);
  role.workers = variables.number("TRIREME_WORKERS", 1, kMaxWorldSize);
  require_usage(given == 0 || given == role.servers,
                "--servers {} given, but the launcher has started {}; leave it out here: `trireme run --servers` tells "
                "the program",
                given, role.servers);
  role.server = !variables.has("RANK");
  if (role.server) {
    role.index = variables.number("ROLE_RANK", 0, role.servers - 1);
    return role;
  }
  const Place place = detect_place(variables);
  require(place.size == role.workers, "environment: TRIREME_WORKERS={} given, but {} ranks were started; unset it",
          role.workers, place.size);
  role.index = place.rank;
  return role;
}

}  // namespace

ProcessRole detect_role(const Variables& variables, int servers) {
  require_usage(servers >= 0, "--servers {}: 0 or more expected", servers);
  if (variables.has("TRIREME_SERVERS")) {
    return role_by_name(variables, servers);
  }
  const Place place = detect_place(variables);
  require_usage(servers == 0 || place.size > 1,
                "--servers {}: this process is alone; start it with `trireme run --servers {} --nproc-per-node N`, or "
                "with mpirun or srun, N workers and {} servers together",
                servers, servers, servers);
  require_usage(servers < place.size,
                "--servers {} given, but {} has started {} processes; start more, or fewer servers: at least one "
                "process must be a worker",
                servers, place.launcher, place.size);
  const int workers = place.size - servers;
  const bool server = place.rank >= workers;
  return {
      .server = server, .index = server ? place.rank - workers : place.rank, .workers = workers, .servers = servers};
}

Place place_in_role(const Variables& variables, const ProcessRole& role) {
  if (variables.has("TRIREME_SERVERS")) {
    const std::string workers = std::to_string(role.workers);
    return detect_place(
        role.server ? variables.with(
                          {{"RANK", "0"}, {"WORLD_SIZE", workers}, {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", workers}})
                    : variables);
  }
  Place place = detect_place(variables);
  if (role.servers > 0) {
    const bool one_host = place.on_one_host();
    place.rank = role.index;
    place.size = role.workers;
    place.local_rank = one_host ? role.index : -1;
    place.local_size = one_host ? role.workers : 0;  // over several hosts nobody tells how many are workers
    place.node = one_host ? place.node : -1;
    place.nodes = one_host ? place.nodes : 0;
    place.speaks_mpi = false;  // MPI's world has the servers too
  }
  return place;
}

std::string name_of(const ProcessRole& role) {
  return fmt::format("{} {}", role.server ? "server" : "worker", role.index);
}

ProcessRole launched_role(int servers) { return detect_role(Variables::of_process(), servers); }

}  // namespace trireme::comm
