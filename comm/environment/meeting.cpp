#include "trireme/comm/environment/meeting.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "trireme/comm/environment/interfaces.h"
#include "trireme/comm/environment/slurm_address.h"
#include "trireme/comm/store/addresses.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::uint64_t hash_of(const std::string& text) {
  Xxh3 hash;
  hash.update(text);
  return hash.digest();
}

// The ranks of one host that a launcher without a name for its job has started have one parent. Its start time tells it
// from an earlier process with the same number.
std::string name_of_parent() {
  const pid_t parent = getppid();
  std::ifstream file(fmt::format("/proc/{}/stat", parent));
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));  // the name may hold spaces
  constexpr int kStartTime = 20;  // the 22nd field, two of which were cut off
  std::string field;
  for (int i = 0; i < kStartTime; ++i) {
    fields >> field;
  }
  return fmt::format("parent/{}/{}", parent, field);
}

std::string address_of_rank_0(const Place& place) {
  if (!place.master_address.empty()) {
    return place.master_address;
  }
  if (place.on_one_host()) {
    return "127.0.0.1";
  }
  if (place.hosts.empty()) {
    return "";
  }
  return has_address(place.hosts.front()) ? place.hosts.front() : slurm_address_of_node(place.hosts.front());
}

// Looks at each port once. Nothing if no store of this job answered; `seen` says what did.
std::unique_ptr<TcpStore> look_around(const MeetingPoint& meeting, milliseconds timeout,
                                      steady_clock::time_point deadline, std::string& seen) {
  constexpr milliseconds kPatience(2000);  // with a port that takes the connection and says nothing
  seen.clear();
  for (const int port : meeting.ports) {
    const int fd = connect_once(meeting.address, port, std::min(deadline, steady_clock::now() + kPatience));
    if (fd < 0) {
      continue;
    }
    close(fd);
    try {
      return std::make_unique<TcpStore>(meeting.address, port, meeting.token, timeout, kPatience);
    } catch (const Error& error) {
      seen = error.what();
    }
  }
  return nullptr;
}

}  // namespace

std::vector<int> derived_ports(const std::string& job) {
  std::vector<int> ports;
  for (int i = 0; static_cast<int>(ports.size()) < kPortsTried; ++i) {
    const int port = kFirstDerivedPort + static_cast<int>(hash_of(fmt::format("{}#{}", job, i)) % kDerivedPorts);
    if (std::find(ports.begin(), ports.end(), port) == ports.end()) {
      ports.push_back(port);
    }
  }
  return ports;
}

std::optional<MeetingPoint> find_meeting_point(const Place& place, const std::string& token) {
  const bool parent_tells = place.job.empty() && place.on_one_host() && place.master_port == 0;
  const std::string job = parent_tells ? name_of_parent() : place.job;
  MeetingPoint meeting;
  meeting.address = address_of_rank_0(place);
  if (place.master_port > 0 && !place.master_port_taken) {
    meeting.ports = {place.master_port};
  } else if (!job.empty()) {
    meeting.ports = derived_ports(job);
  }
  if (meeting.address.empty() || meeting.ports.empty()) {
    return std::nullopt;
  }
  const std::string& secret = token.empty() ? place.secret : token;
  meeting.token = secret.empty() && !job.empty() ? "job " + hash_text(hash_of(job)) : secret;
  meeting.several_hosts = !place.on_one_host();
  return meeting;
}

std::unique_ptr<TcpStoreServer> serve(const MeetingPoint& meeting) {
  // A host often knows its own name as a loopback address, and a cloud's hosts not the address by which others reach
  // them. Then only listening on every interface will do.
  std::vector<std::string> places = {meeting.address};
  if (meeting.several_hosts) {
    places =
        is_loopback(meeting.address) ? std::vector<std::string>{""} : std::vector<std::string>{meeting.address, ""};
  }
  std::string reason;
  for (const int port : meeting.ports) {
    for (const std::string& place : places) {
      try {
        return std::make_unique<TcpStoreServer>(place, port, meeting.token);
      } catch (const Error& error) {
        reason = reason.empty() ? error.what() : reason;
      }
    }
  }
  fail("{}", reason);
}

std::unique_ptr<TcpStore> join(const MeetingPoint& meeting, milliseconds timeout) {
  if (meeting.ports.size() == 1) {
    return std::make_unique<TcpStore>(meeting.address, meeting.ports.front(), meeting.token, timeout);
  }
  const auto deadline = steady_clock::now() + timeout;
  milliseconds pause(1);
  std::string seen;
  do {
    if (auto store = look_around(meeting, timeout, deadline, seen)) {
      return store;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, milliseconds(50));
  } while (steady_clock::now() < deadline);
  fail(
      "store: no store of this job answers at {} on the ports {} within {} ms{}{}; is rank 0 running there, and are "
      "the "
      "ports open? MASTER_ADDR and MASTER_PORT name another place",
      meeting.address, fmt::join(meeting.ports, ", "), timeout.count(), seen.empty() ? "" : "; last seen: ", seen);
}

Meeting::Meeting(int rank, int size, const MeetingPoint& point, milliseconds timeout)
    : Meeting(rank, size, point, rank == 0 ? serve(point) : nullptr, timeout) {}

Meeting::Meeting(int rank, int size, const MeetingPoint& point, std::unique_ptr<TcpStoreServer> server,
                 milliseconds timeout)
    : rank_(rank), size_(size), timeout_(timeout), address_(point.address), server_(std::move(server)) {
  MeetingPoint known = point;
  if (server_ != nullptr) {
    known.ports = {server_->port()};
  }
  store_ = join(known, timeout);
}

void Meeting::leave() {
  const auto key = [](int rank) { return fmt::format("left/{}", rank); };
  store_->set(key(rank_), "1");
  for (int peer = 1; rank_ == 0 && peer < size_; ++peer) {
    store_->get(key(peer), timeout_);
  }
}

std::string how_to_name_one(const Place& place) {
  const char* how = place.launcher == "Open MPI" ? "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500 ..."
                    : place.launcher == "Slurm"  ? "export MASTER_ADDR=HOST MASTER_PORT=29500 before srun"
                                                 : "mpiexec -genv MASTER_ADDR HOST -genv MASTER_PORT 29500 ...";
  return fmt::format("set MASTER_ADDR to the host of rank 0 and MASTER_PORT to a free port there ({})", how);
}

}  // namespace trireme::comm
