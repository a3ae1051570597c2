#include "trireme/comm/environment.h"

#include <exception>
#include <mutex>
#include <thread>

#include "trireme/comm/backends.h"
#include "trireme/comm/environment/place.h"
#include "trireme/comm/local/local_communicator.h"
#include "trireme/core/base/log.h"

namespace trireme::comm {

World from_environment(const EnvironmentOptions& options) {
  check_backend_name(options.backend);
  const Variables variables = Variables::of_process();
  const Place place = place_in_role(variables, detect_role(variables, options.servers));
  const int lanes = variables.number_or("TRIREME_MAX_WORLD_SIZE", place.size, kMaxWorldSize, place.size);
  if (place.size > 1) {
    log::set_prefix(fmt::format("rank {}", place.rank));
  }
  if (!place.warning.empty()) {
    log::warning("{}", place.warning);
  }
  return {connect_backend(place, {.backend = options.backend,
                                  .timeout = options.timeout,
                                  .interface = options.interface,
                                  .token = variables.text("TRIREME_JOB_TOKEN"),
                                  .host_name = variables.text("TRIREME_HOST_NAME")}),
          lanes};
}

LaunchedRank launched_rank() {
  const Place place = detect_place(Variables::of_process());
  return {place.rank, place.size};
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
