#include "trireme/comm/environment.h"

#include <charconv>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "trireme/comm/local/local_communicator.h"
#include "trireme/comm/local/solo_communicator.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/comm/store/tcp_store.h"
#include "trireme/core/base/log.h"

namespace trireme::comm {
namespace {

constexpr const char* kVariables[] = {"RANK",        "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
                                      "MASTER_ADDR", "MASTER_PORT"};

struct Place {
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  std::string master_address;
  int master_port = 0;
};

std::string text_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

int number_of(const char* variable, int least, int most) {
  const std::string text = text_of(variable);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
          "environment: {}={} given, a number from {} to {} expected; start ranks with `trireme run`", variable, text,
          least, most);
  return value;
}

// A lone process if no variable is set. One missing is an error: guessing would train several models side by side.
Place read_place() {
  std::string missing;
  int set = 0;
  for (const char* variable : kVariables) {
    if (text_of(variable).empty()) {
      missing += (missing.empty() ? "" : ", ") + std::string(variable);
    } else {
      ++set;
    }
  }
  if (set == 0) {
    return {};
  }
  require(missing.empty(),
          "environment: {} not set while others of RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
          "MASTER_PORT are; start ranks with `trireme run`, or unset all six for a lone process",
          missing);
  constexpr int kMost = 1 << 20;
  Place place;
  place.size = number_of("WORLD_SIZE", 1, kMost);
  place.rank = number_of("RANK", 0, place.size - 1);
  place.local_size = number_of("LOCAL_WORLD_SIZE", 1, place.size);
  place.local_rank = number_of("LOCAL_RANK", 0, place.local_size - 1);
  place.master_address = text_of("MASTER_ADDR");
  place.master_port = number_of("MASTER_PORT", 1, 65535);
  return place;
}

void check_backend(const std::string& backend) {
  const bool planned = backend == "gloo" || backend == "mpi" || backend == "nccl";
  require_usage(!planned, "backend \"{}\" given, which this build does not have; it has auto, local and shm", backend);
  require_usage(backend == "auto" || backend == "local" || backend == "shm",
                "backend \"{}\" given, one of auto, local and shm expected", backend);
}

std::shared_ptr<Communicator> connect_shm(const Place& place, std::chrono::milliseconds timeout) {
  require(place.local_size == place.size,
          "backend shm: {} of {} ranks are on this host (LOCAL_WORLD_SIZE, WORLD_SIZE), and shared memory ends there; "
          "start "
          "all ranks on one host, as this build has no backend across hosts",
          place.local_size, place.size);
  if (place.size == 1) {
    MemoryStore store;
    return shm::ShmCommunicator::connect(0, 1, store, timeout);
  }
  const std::string token = text_of("TRIREME_JOB_TOKEN");
  std::unique_ptr<TcpStoreServer> server;  // needed until all have found each other, which connect() waits for
  if (place.rank == 0) {
    server = std::make_unique<TcpStoreServer>(place.master_address, place.master_port, token);
  }
  TcpStore store(place.master_address, place.master_port, token, timeout);
  return shm::ShmCommunicator::connect(place.rank, place.size, store, timeout);
}

std::shared_ptr<Communicator> connect(const Place& place, const EnvironmentOptions& options) {
  if (options.backend == "shm" || place.size > 1) {
    require_usage(options.backend != "local",
                  "backend local: its ranks are threads of one process, and this is rank {} of {} processes; use "
                  "--backend shm, or one process with --ranks {}",
                  place.rank, place.size, place.size);
    return connect_shm(place, options.timeout);
  }
  auto solo = std::make_shared<SoloCommunicator>();
  solo->set_default_timeout(options.timeout);
  return solo;
}

}  // namespace

World from_environment(const EnvironmentOptions& options) {
  check_backend(options.backend);
  const Place place = read_place();
  const std::int64_t lanes =
      text_of("TRIREME_MAX_WORLD_SIZE").empty() ? place.size : number_of("TRIREME_MAX_WORLD_SIZE", place.size, 1 << 20);
  if (place.size > 1) {
    log::set_prefix(fmt::format("rank {}", place.rank));
  }
  return {connect(place, options), lanes};
}

void run_local(int ranks, const std::function<void(World)>& body, const EnvironmentOptions& options) {
  require_usage(ranks >= 1, "run_local: {} ranks given, at least 1 expected", ranks);
  const auto hub = std::make_shared<LocalHub>(ranks);
  std::mutex mutex;
  std::exception_ptr first;
  const auto run_rank = [&](int rank) {
    const auto communicator = std::make_shared<LocalCommunicator>(hub, rank);
    communicator->set_default_timeout(options.timeout);
    const auto failed = [&](const char* what) {
      {
        const std::lock_guard lock(mutex);
        first = first ? first : std::current_exception();
      }
      communicator->abort(what);
    };
    try {
      body(World(communicator, ranks));
    } catch (const std::exception& error) {
      failed(error.what());
    } catch (...) {
      failed("an exception of an unknown type");
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back(run_rank, rank);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace trireme::comm
