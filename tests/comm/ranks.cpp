#include "tests/comm/ranks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/support/processes.h"
#include "trireme/comm/environment.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/hierarchical/hierarchical.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/store/file_store.h"

namespace trireme::test {
namespace {

// The body on threads whose world is made into something else first.
template <class Join>
void run_joined_threads(int size, const RankBody& body, const RankOptions& options, Join join) {
  const auto run = [&] {
    comm::run_local(size, [&](comm::World world) { body(*join(world.communicator())); },
                    {.backend = "local", .timeout = options.timeout});
  };
  EXPECT_NO_THROW(run());
}

std::shared_ptr<comm::Communicator> connect_shm(int rank, int size, const std::string& directory,
                                                std::chrono::milliseconds timeout) {
  comm::FileStore store(directory);
  return comm::shm::ShmCommunicator::connect(rank, size, store, timeout);
}

std::shared_ptr<comm::Communicator> connect_gloo(int rank, int size, const std::string& directory,
                                                 std::chrono::milliseconds timeout) {
  return comm::connect_gloo(rank, size, std::make_shared<comm::FileStore>(directory), {.timeout = timeout});
}

// $TRIREME_TEST_HOSTS: network namespaces that stand for hosts, as "/run/netns/a:/run/netns/b". Empty without it: all
// hosts are this one.
std::vector<std::string> host_namespaces() {
  const char* const given = std::getenv("TRIREME_TEST_HOSTS");
  std::vector<std::string> paths;
  std::stringstream text(given == nullptr ? "" : given);
  for (std::string path; std::getline(text, path, ':');) {
    paths.push_back(path);
  }
  return paths;
}

// From here on this process has the host's network, and a host name of its own.
void move_to_host(const std::vector<std::string>& namespaces, int host) {
  const int file = open(namespaces.at(static_cast<std::size_t>(host)).c_str(), O_RDONLY | O_CLOEXEC);
  const std::string name = "host" + std::to_string(host);
  if (file < 0 || setns(file, CLONE_NEWNET) != 0 || unshare(CLONE_NEWUTS) != 0 ||
      sethostname(name.data(), name.size()) != 0) {
    throw std::runtime_error("cannot move to the network namespace of " + name);
  }
  close(file);
}

int host_of(const std::vector<std::vector<int>>& hosts, int rank) {
  const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const std::vector<int>& ranks) {
    return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
  });
  return static_cast<int>(found - hosts.begin());
}

}  // namespace

std::vector<std::vector<int>> block_hosts(int size, int count) {
  count = std::min(size, count);
  std::vector<std::vector<int>> hosts(static_cast<std::size_t>(count));
  for (int rank = 0; rank < size; ++rank) {
    hosts[static_cast<std::size_t>(rank * count / size)].push_back(rank);
  }
  return hosts;
}

std::vector<std::vector<int>> uneven_hosts(int size) {
  switch (size) {
    case 4:
      return {{0, 1, 2}, {3}};
    case 7:
      return {{0, 1, 2, 3}, {4, 5}, {6}};
    case 3:
      return {{0}, {1, 2}};
    case 2:
      return {{0, 1}};
    default:
      return {{0}};
  }
}

std::vector<std::vector<int>> cyclic_hosts(int size) {
  const int count = size == 7 ? 3 : std::min(size, 2);
  std::vector<std::vector<int>> hosts(static_cast<std::size_t>(count));
  for (int rank = 0; rank < size; ++rank) {
    hosts[static_cast<std::size_t>(rank % count)].push_back(rank);
  }
  return hosts;
}

std::shared_ptr<comm::Communicator> join_hosts(const std::vector<std::vector<int>>& hosts,
                                               const std::shared_ptr<comm::Communicator>& whole) {
  return comm::connect_hierarchical(hosts, whole->split(host_of(hosts, whole->rank()), whole->rank()), whole);
}

void run_processes_over(const Connect& connect, int size, const RankBody& body, const RankOptions& options) {
  const auto run_rank = [&](int rank, const std::string& directory) {
    if (const auto communicator = connect(rank, size, directory + "/store", options.timeout)) {
      body(*communicator);
    }
  };
  run_forked(size, run_rank, {.killed = options.killed_rank, .stopped = options.stopped_rank}, "rank");
}

void run_threads(int size, const RankBody& body, const RankOptions& options) {
  run_joined_threads(size, body, options, [](const auto& world) { return world; });
}

void run_processes(int size, const RankBody& body, const RankOptions& options) {
  run_processes_over(connect_shm, size, body, options);
}

void run_gloo(int size, const RankBody& body, const RankOptions& options) {
  if (!comm::has_gloo()) {
    GTEST_SKIP() << "this build has no Gloo";
  }
  run_processes_over(connect_gloo, size, body, options);
}

void run_uneven_hosts(int size, const RankBody& body, const RankOptions& options) {
  run_joined_threads(size, body, options, [&](const auto& world) { return join_hosts(uneven_hosts(size), world); });
}

void run_cyclic_hosts(int size, const RankBody& body, const RankOptions& options) {
  run_joined_threads(size, body, options, [&](const auto& world) { return join_hosts(cyclic_hosts(size), world); });
}

void run_hosts_of_processes(int size, const RankBody& body, const RankOptions& options) {
  const auto connect = [](int rank, int ranks, const std::string& directory, std::chrono::milliseconds timeout) {
    return join_hosts(block_hosts(ranks), connect_shm(rank, ranks, directory, timeout));
  };
  run_processes_over(connect, size, body, options);
}

void run_shm_and_gloo(int size, const RankBody& body, const RankOptions& options) {
  if (!comm::has_gloo()) {
    GTEST_SKIP() << "this build has no Gloo";
  }
  const auto connect = [](int rank, int ranks, const std::string& directory, std::chrono::milliseconds timeout) {
    const std::vector<std::string> namespaces = host_namespaces();
    const auto hosts = block_hosts(ranks, namespaces.empty() ? 2 : static_cast<int>(namespaces.size()));
    const int host = host_of(hosts, rank);
    if (!namespaces.empty()) {
      move_to_host(namespaces, host);
    }
    const std::vector<int>& here = hosts[static_cast<std::size_t>(host)];
    auto whole = connect_gloo(rank, ranks, directory, timeout);
    auto inside = connect_shm(rank - here[0], static_cast<int>(here.size()),
                              directory + "-host-" + std::to_string(host), timeout);
    return comm::connect_hierarchical(hosts, std::move(inside), std::move(whole));
  };
  run_processes_over(connect, size, body, options);
}

int size_given_by_mpirun() {
  const char* const size = std::getenv("OMPI_COMM_WORLD_SIZE");
  return size == nullptr ? 0 : std::atoi(size);
}

std::string joined_over_ranks(const std::string& captured) {
  if (size_given_by_mpirun() == 0) {
    return captured;
  }
  const auto comm = comm::connect_mpi();
  const Array own = Array::full({1}, static_cast<double>(captured.size()), DType::i64);
  const Array sizes = Array::empty({comm->size()}, DType::i64);
  comm->all_gather(own, sizes).wait();
  std::vector<std::int64_t> offsets{0};
  for (int rank = 0; rank < comm->size(); ++rank) {
    offsets.push_back(offsets.back() + sizes.data<std::int64_t>()[rank]);
  }
  const Array text = Array::empty({static_cast<std::int64_t>(captured.size())}, DType::u8);
  const Array all = Array::empty({offsets.back()}, DType::u8);
  std::copy(captured.begin(), captured.end(), text.data<std::uint8_t>());
  comm->all_gather_v(text, all, offsets).wait();
  return {all.data<std::uint8_t>(), all.data<std::uint8_t>() + all.count()};
}

void run_mpi(int size, const RankBody& body, const RankOptions& options) {
  try {
    body(*comm::connect_mpi({.timeout = options.timeout, .expected_size = size}));
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

}  // namespace trireme::test
