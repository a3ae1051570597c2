// Training through servers, workers and servers being threads: the same loop, and in sync the same bits as mirrored.
#include "trireme/strategies/parameter_server/parameter_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/strategies/mirrored/small_run.h"
#include "tests/support/error_of.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/parameter_server/wire/in_process.h"

namespace trireme::strategies {
namespace {

using parameter_server::Consistency;
using parameter_server::InProcessHub;
using parameter_server::Node;
using parameter_server::Role;
using std::chrono::milliseconds;
using testing::HasSubstr;

struct Job {
  int servers = 1;
  int workers = 1;
  std::int64_t lanes = 4;
  std::int64_t accumulate = 1;
  std::vector<std::int64_t> batches = {16, 16, 16};
  double clip = 0;
  ParameterServerOptions options = {};
};

// Servers as threads beside the workers; the first thing that any of them complains of is thrown.
Outcome run(const Job& job, const std::function<std::unique_ptr<optim::Optimizer>()>& make_optimizer) {
  InProcessHub hub;
  ParameterServerOptions options = job.options;
  options.servers = job.servers;
  options.seed = 3;
  std::vector<std::thread> servers;
  std::vector<std::string> complaints(static_cast<std::size_t>(job.servers));
  for (int index = 0; index < job.servers; ++index) {
    servers.emplace_back([&, index, endpoint = std::shared_ptr(hub.join({Role::server, index}))] {
      const auto model = make_model();
      const auto optimizer = make_optimizer();
      const auto plan = parameter_server::plan_for(model, *optimizer, job.workers, options);
      complaints[static_cast<std::size_t>(index)] =
          test::error_of([&] { parameter_server::serve(*endpoint, plan, *optimizer); });
    });
  }
  Outcome outcome;
  std::set<std::string> hashes;
  std::mutex mutex;
  comm::run_local(job.workers, [&](comm::World ranks) {
    const auto endpoint = hub.join({Role::worker, ranks.rank()});
    auto model = make_model();
    const auto optimizer = make_optimizer();
    ParameterServer strategy(ranks, *endpoint, options);
    strategy.prepare(model, *optimizer);
    strategy.clip_grad_norm(job.clip);
    std::vector<double> losses;
    std::vector<double> norms;
    for (std::size_t step = 0; step < job.batches.size(); ++step) {
      const BatchSplit split{job.lanes, job.accumulate, job.batches[step]};
      test::run_step(split, static_cast<std::int64_t>(step), ranks.rank(), ranks.size(), [&](std::int64_t leaf) {
        optimizer->zero_grad();
        loss_of(model, split, static_cast<std::int64_t>(step), leaf).backward();
        EXPECT_EQ(strategy.step(), step_context().last_leaf_of_rank);
      });
      losses.push_back(strategy.report().loss);
      norms.push_back(strategy.report().grad_norm);
    }
    const std::lock_guard lock(mutex);
    hashes.insert(params_hash(strategy.full_parameters()));
    if (ranks.rank() == 0) {
      outcome = {*hashes.begin(), {}, losses, norms, {}};
    }
  });
  for (std::thread& server : servers) {
    server.join();
  }
  for (const std::string& complaint : complaints) {
    EXPECT_EQ(complaint, "no error");
  }
  if (options.consistency == Consistency::sync) {
    EXPECT_EQ(hashes.size(), 1u) << "workers ended with different parameters";
  }
  return outcome;
}

std::unique_ptr<optim::Optimizer> adamw() { return std::make_unique<optim::AdamW>(optim::AdamWOptions{.lr = 1e-2}); }

TEST(ParameterServer, SyncHasTheBitsOfMirroredForAnyNumberOfServersAndWorkers) {
  const Outcome expected = train(1, 4, 1, {16, 16, 16}, 0.5);
  for (int servers = 1; servers <= 3; ++servers) {
    for (int workers = 1; workers <= 4; ++workers) {
      for (const sharding::Partitioner& partitioner :
           {sharding::Partitioner(sharding::FixedShards{servers}), sharding::Partitioner(sharding::FixedShards{1})}) {
        const Outcome outcome =
            run({.servers = servers, .workers = workers, .clip = 0.5, .options = {.partitioner = partitioner}}, adamw);
        EXPECT_EQ(outcome.hash, expected.hash) << servers << " servers, " << workers << " workers";
        EXPECT_EQ(outcome.losses, expected.losses);
        EXPECT_EQ(outcome.norms, expected.norms);
      }
    }
  }
}

TEST(ParameterServer, SyncHasMirroredsBitsWithShortBatchesIdleWorkersAndAccumulation) {
  const std::vector<std::int64_t> batches{14, 2, 14, 5, 1, 14};
  const Outcome expected = train(1, 7, 2, batches, 0.1);
  for (const int workers : {1, 2, 3, 5}) {
    const Outcome outcome =
        run({.servers = 2, .workers = workers, .lanes = 7, .accumulate = 2, .batches = batches, .clip = 0.1}, adamw);
    EXPECT_EQ(outcome.hash, expected.hash) << workers << " workers";
    EXPECT_EQ(outcome.losses, expected.losses);
    EXPECT_EQ(outcome.norms, expected.norms);
  }
}

TEST(ParameterServer, BoundedStaleAndAsynchronousTrainingLearns) {
  const auto sgd = [] { return std::make_unique<optim::SGD>(optim::SGDOptions{.lr = 0.1}); };
  const std::vector<std::int64_t> batches(40, 16);
  const Outcome sync = run({.batches = batches}, sgd);
  for (const Consistency consistency : {Consistency::ssp, Consistency::async}) {
    const Outcome outcome = run(
        {.servers = 2, .workers = 3, .batches = batches, .options = {.consistency = consistency, .staleness = 2}}, sgd);
    EXPECT_LT(outcome.losses.back(), outcome.losses.front());
    EXPECT_NEAR(outcome.losses.back(), sync.losses.back(), 0.3);
  }
}

TEST(ParameterServer, OneWorkerIsTheSameUnderEveryConsistency) {
  const Outcome expected = train(1, 4, 1, {16, 16, 16}, 0.5);
  for (const Consistency consistency : {Consistency::ssp, Consistency::async}) {
    EXPECT_EQ(run({.servers = 2, .clip = 0.5, .options = {.consistency = consistency}}, adamw).losses, expected.losses);
  }
}

TEST(ParameterServer, WorkersThatWereStartedOtherwiseAreRefused) {
  InProcessHub hub;
  const auto server_end = hub.join({Role::server, 0});
  const auto worker_end = hub.join({Role::worker, 0});
  const auto model = make_model();
  optim::SGD sgd;
  const auto plan = parameter_server::plan_for(model, sgd, 1, {});
  std::string complaint;
  std::thread server([&] {
    complaint =
        test::error_of([&] { parameter_server::serve(*server_end, plan, sgd, {.timeout = milliseconds(300)}); });
  });
  const auto other = parameter_server::plan_for(model, sgd, 1, {.seed = 4});
  EXPECT_THAT(test::error_of([&] { parameter_server::Client(*worker_end, other, {}); }),
              HasSubstr("worker 0 and server 0 were not started alike"));
  server.join();
  EXPECT_THAT(complaint, HasSubstr("worker 0 has not said hello within 300 ms"));
}

TEST(ParameterServer, AServerThatIsNotThereIsNamedWithinTheDeadline) {
  InProcessHub hub;
  const auto worker_end = hub.join({Role::worker, 0});
  const auto model = make_model();
  optim::SGD sgd;
  const auto plan = parameter_server::plan_for(model, sgd, 1, {});
  EXPECT_THAT(test::error_of([&] { parameter_server::Client(*worker_end, plan, {.timeout = milliseconds(200)}); }),
              HasSubstr("server 0 has not answered hello within 200 ms: server 0 is not there"));
}

}  // namespace
}  // namespace trireme::strategies
