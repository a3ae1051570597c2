#include "trireme/comm/backends.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/environment/meeting.h"
#include "trireme/comm/local/solo_communicator.h"
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
  require(
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

// The store through which the ranks meet, and on rank 0 its server. It ends when all ranks are done with it.
class Meeting {
 public:
  Meeting(int rank, int size, const MeetingPoint& point, milliseconds timeout)
      : rank_(rank), size_(size), timeout_(timeout) {
    if (rank == 0) {
      server_ = serve(point);
    }
    store_ = join(rank == 0 ? at_port(point, server_->port()) : point, timeout);
  }

  Store& store() { return *store_; }

  // The last call: rank 0 returns after all others have made it.
  void leave() {
    store_->set(key_of(rank_), "done");
    for (int peer = 1; rank_ == 0 && peer < size_; ++peer) {
      store_->get(key_of(peer), timeout_);
    }
  }

 private:
  static MeetingPoint at_port(MeetingPoint point, int port) {
    point.ports = {port};
    return point;
  }
  static std::string key_of(int rank) { return fmt::format("left/{}", rank); }

  const int rank_;
  const int size_;
  const milliseconds timeout_;
  std::unique_ptr<TcpStoreServer> server_;
  std::unique_ptr<TcpStore> store_;
};

std::shared_ptr<Communicator> connect_over(Store& store, const Place& place, const HostTable& hosts,
                                           const BackendOptions& options) {
  const BackendChoice choice = choose_backend(options.backend, hosts);
  if (choice.backend == "shm") {
    PrefixStore shm_store(store, "world");
    return shm::ShmCommunicator::connect(place.rank, place.size, shm_store, options.timeout);
  }
  fail("backend {}: not in this build", choice.backend);
}

std::shared_ptr<Communicator> connect_alone(const Place& place, const BackendOptions& options) {
  if (options.backend == "auto" || options.backend == "local") {
    return std::make_shared<SoloCommunicator>();
  }
  MemoryStore store;
  const HostTable hosts({facts_of_this_process(options.host_name, false, false)});
  return connect_over(store, place, hosts, options);
}

std::shared_ptr<Communicator> connect_many(const Place& place, const BackendOptions& options) {
  const std::optional<MeetingPoint> point = find_meeting_point(place, options.token);
  require(point.has_value(), "start: {} has started {} ranks but names no place where they can meet; {}",
          place.launcher, place.size, how_to_name_one(place));
  Meeting meeting(place.rank, place.size, *point, options.timeout);
  const HostFacts facts = facts_of_this_process(options.host_name, false, false);
  const HostTable hosts = exchange_hosts(place.rank, place.size, facts, meeting.store(), options.timeout);
  if (place.rank == 0 && !hosts.different_instructions().empty()) {
    log::warning("{}", hosts.different_instructions());
  }
  auto communicator = connect_over(meeting.store(), place, hosts, options);
  meeting.leave();
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
