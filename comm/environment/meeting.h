// The meeting point: where rank 0 of a job serves the store through which its ranks find each other.
//
// Where the launcher or the person names a port (MASTER_PORT), that is it. Where only the job's name is known, a few
// ports follow from it; rank 0 takes the first free one and the others look until a store answers that knows the job's
// token.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/environment/place.h"
#include "trireme/comm/store/tcp_store.h"

namespace trireme::comm {

struct MeetingPoint {
  std::string address = {};     // of rank 0's host
  std::vector<int> ports = {};  // in the order in which they are tried
  std::string token = {};  // TRIREME_JOB_TOKEN, else the launcher's secret, else the job's name (which is no secret)
  bool several_hosts = false;
};

// Derived ports lie in [kFirstDerivedPort, kFirstDerivedPort + kDerivedPorts): below those that systems give to clients
// (from 32768 on Linux).
constexpr int kFirstDerivedPort = 20000;
constexpr int kDerivedPorts = 10000;
constexpr int kPortsTried = 8;
std::vector<int> derived_ports(const std::string& job);

// Nothing if the environment names no place that all ranks can know. Asks the system for addresses and, for a Slurm
// node whose name has none, Slurm.
std::optional<MeetingPoint> find_meeting_point(const Place& place, const std::string& token);

// Rank 0's side. Raises Error if no port is free.
std::unique_ptr<TcpStoreServer> serve(const MeetingPoint& meeting);
// Every rank's side: blocks until the store answers, at most `timeout`, which also bounds every later request.
std::unique_ptr<TcpStore> join(const MeetingPoint& meeting, std::chrono::milliseconds timeout);

// The store of a job as one rank holds it, rank 0 with its server. Everybody's store ends with rank 0's.
class Meeting {
 public:
  // Blocks until rank 0 serves, at most `timeout`.
  Meeting(int rank, int size, const MeetingPoint& point, std::chrono::milliseconds timeout);
  // Where rank 0 serves already and has told the others by other means; `server`: on rank 0 alone.
  Meeting(int rank, int size, const MeetingPoint& point, std::unique_ptr<TcpStoreServer> server,
          std::chrono::milliseconds timeout);

  Store& store() { return *store_; }
  // Of rank 0's host, as this rank reaches it.
  const std::string& address() const { return address_; }
  // Collective, when the start is over: rank 0 returns after all others have come here.
  void leave();

 private:
  const int rank_;
  const int size_;
  const std::chrono::milliseconds timeout_;
  const std::string address_;
  std::unique_ptr<TcpStoreServer> server_;
  std::unique_ptr<TcpStore> store_;
};

// What a person can do where there is no meeting point; ends a message.
std::string how_to_name_one(const Place& place);

}  // namespace trireme::comm
