#include "trireme/comm/backends.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/environment/meet_over.h"
#include "trireme/comm/environment/meeting.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/hierarchical/hierarchical.h"
#include "trireme/comm/local/solo_communicator.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/comm/store/prefix_store.h"
#include "trireme/core/base/log.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kBackends[] = {"auto", "local", "shm", "gloo", "mpi", "hierarchical"};

std::string network_of(const HostTable& hosts) {
  return hosts.all_have_mpi() ? "mpi" : hosts.all_have_gloo() ? "gloo" : "";
}

}  // namespace

BackendChoice choose_backend(std::string_view asked, const HostTable& hosts) {
  if (asked == "gloo" || asked == "mpi") {
    return {std::string(asked), std::string(asked)};
  }
  require_usage(
      asked != "shm" || hosts.hosts() == 1,
      "backend shm: the ranks are on {} hosts, and shared memory ends at one; use --backend auto, or start all ranks "
      "on one host",
      hosts.hosts());
  if (hosts.hosts() == 1 && asked != "hierarchical") {
    return {"shm", ""};
  }
  const std::string network = network_of(hosts);
  require(!network.empty(),
          "backend {}: the ranks are on {} hosts, and not all of them have a network between hosts; build with Gloo "
          "(Debian: libgloo-dev) on all of them, or start with Open MPI's mpirun (Debian: openmpi-bin)",
          asked, hosts.hosts());
  const bool shares = hosts.hosts() < hosts.size();
  return {shares || asked == "hierarchical" ? "hierarchical" : network, network};
}

void check_backend_name(std::string_view name) {
  require_usage(name != "nccl", "backend \"nccl\" given, which this build does not have; it has {}",
                fmt::join(kBackends, ", "));
  require_usage(std::find(std::begin(kBackends), std::end(kBackends), name) != std::end(kBackends),
                "backend \"{}\" given, one of {} expected", name, fmt::join(kBackends, ", "));
}

namespace {

void warn_of_different_bits(const Place& place, const HostTable& hosts) {
  if (place.rank == 0 && !hosts.different_instructions().empty()) {
    log::warning("{}", hosts.different_instructions());
  }
}

std::shared_ptr<Communicator> connect_mpi_world(const Place& place, const BackendOptions& options) {
  auto world = connect_mpi({.timeout = options.timeout, .expected_size = place.size});
  require(
      world->rank() == place.rank,
      "backend mpi: MPI says that this is rank {}, and the environment of {} says rank {}; start with the mpirun of "
      "the Open MPI whose library is loaded, or unset the other launcher's names",
      world->rank(), place.launcher, place.rank);
  return world;
}

// Where the environment names no place to meet, Open MPI's ranks have one already.
std::shared_ptr<Meeting> open_meeting(const Place& place, const BackendOptions& options) {
  if (const std::optional<MeetingPoint> point = find_meeting_point(place, options.token)) {
    return std::make_shared<Meeting>(place.rank, place.size, *point, options.timeout);
  }
  require(place.speaks_mpi && can_load_mpi(),
          "start: {} has started {} ranks but names no place where they can meet; {}", place.launcher, place.size,
          how_to_name_one(place));
  const std::string& token = options.token.empty() ? place.secret : options.token;
  const auto mpi = connect_mpi_world(place, options);
  return meet_over(*mpi, token, options.interface, options.timeout);
}

std::shared_ptr<Communicator> connect_shm(int rank, int size, Store& store, const std::string& prefix,
                                          milliseconds timeout) {
  PrefixStore own(store, prefix);
  return shm::ShmCommunicator::connect(rank, size, own, timeout);
}

// `store` reaches all ranks, and lives as long as whoever keeps it; `towards` is rank 0's host.
std::shared_ptr<Communicator> connect_network(const std::string& name, const Place& place, std::shared_ptr<Store> store,
                                              const std::string& towards, const BackendOptions& options) {
  if (name == "mpi") {
    return connect_mpi_world(place, options);
  }
  return connect_gloo(place.rank, place.size, std::move(store),
                      {.interface = options.interface, .towards = towards, .timeout = options.timeout});
}

std::shared_ptr<Communicator> connect_over(std::shared_ptr<Store> store, const std::string& towards, const Place& place,
                                           const HostTable& hosts, const BackendOptions& options) {
  const BackendChoice choice = choose_backend(options.backend, hosts);
  if (choice.backend == "shm") {
    return connect_shm(place.rank, place.size, *store, "world", options.timeout);
  }
  if (choice.backend != "hierarchical") {
    return connect_network(choice.network, place, std::move(store), towards, options);
  }
  auto whole = connect_network(choice.network, place, store, towards, options);
  const int host = hosts.host_of(place.rank);
  auto ranks_of_host = hosts.ranks_of_host();
  const std::vector<int>& here = ranks_of_host[static_cast<std::size_t>(host)];
  const auto local = std::find(here.begin(), here.end(), place.rank) - here.begin();
  auto inside = connect_shm(static_cast<int>(local), static_cast<int>(here.size()), *store,
                            fmt::format("host/{}", host), options.timeout);
  return connect_hierarchical(std::move(ranks_of_host), std::move(inside), std::move(whole));
}

// libmpi is loaded only where it may be used: it costs memory and time.
HostFacts own_facts(const Place& place, const BackendOptions& options) {
  const bool wanted = place.speaks_mpi && (!place.on_one_host() || options.backend == "hierarchical");
  return facts_of_this_process(options.host_name, has_gloo(), wanted && can_load_mpi());
}

std::shared_ptr<Communicator> connect_alone(const Place& place, const BackendOptions& options) {
  if (options.backend == "auto" || options.backend == "local") {
    return std::make_shared<SoloCommunicator>();
  }
  return connect_over(std::make_shared<MemoryStore>(), "", place, HostTable({own_facts(place, options)}), options);
}

std::shared_ptr<Communicator> connect_many(const Place& place, const BackendOptions& options) {
  if (options.backend == "mpi") {
    auto world = connect_mpi_world(place, options);
    warn_of_different_bits(place, exchange_hosts(*world, own_facts(place, options)));
    return world;
  }
  const std::shared_ptr<Meeting> meeting = open_meeting(place, options);
  const HostTable hosts =
      exchange_hosts(place.rank, place.size, own_facts(place, options), meeting->store(), options.timeout);
  warn_of_different_bits(place, hosts);
  auto communicator = connect_over({meeting, &meeting->store()}, meeting->address(), place, hosts, options);
  meeting->leave();
  return communicator;
}

}  // namespace

std::shared_ptr<Communicator> connect_backend(const Place& place, const BackendOptions& options) {
  check_backend_name(options.backend);
  require_usage(options.backend != "local" || place.size == 1,
                "backend local: its ranks are threads of one process, and this is rank {} of {} processes; use "
                "--backend auto, or one process with --ranks {}",
                place.rank, place.size, place.size);
  if (!options.interface.empty()) {
    address_of_interface(options.interface, place.rank == 0);
  }
  auto communicator = place.size == 1 ? connect_alone(place, options) : connect_many(place, options);
  communicator->set_default_timeout(options.timeout);
  return communicator;
}

}  // namespace trireme::comm
