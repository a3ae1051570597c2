// Training through servers, workers and servers being threads: the same loop, and in sync the same bits as mirrored.
#include "trireme/strategies/parameter_server/parameter_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/strategies/mirrored/small_run.h"
#include "tests/strategies/parameter_server/job.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::strategies {
namespace {

using parameter_server::Consistency;
using parameter_server::InProcessHub;
using parameter_server::Role;
using std::chrono::milliseconds;
using testing::HasSubstr;

Task<nn::Sequential> classifier(std::function<std::unique_ptr<optim::Optimizer>()> optimizer) {
  return {make_model, std::move(optimizer),
          [](nn::Sequential& model, const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
            return loss_of(model, split, step, leaf);
          }};
}

std::unique_ptr<optim::Optimizer> adamw() { return std::make_unique<optim::AdamW>(optim::AdamWOptions{.lr = 1e-2}); }

void expect_same(const JobResult& result, const Outcome& expected, const std::string& layout) {
  EXPECT_EQ(result.hashes, std::set{expected.hash}) << layout;
  EXPECT_EQ(result.losses, expected.losses) << layout;
  EXPECT_EQ(result.norms, expected.norms) << layout;
}

TEST(ParameterServer, SyncHasTheBitsOfMirroredForAnyNumberOfServersAndWorkers) {
  const Outcome expected = train(1, 4, 1, {16, 16, 16}, 0.5);
  for (int servers = 1; servers <= 3; ++servers) {
    for (int workers = 1; workers <= 4; ++workers) {
      for (const sharding::Partitioner& partitioner :
           {sharding::Partitioner(sharding::FixedShards{servers}), sharding::Partitioner(sharding::FixedShards{1})}) {
        const JobResult result =
            run_job(classifier(adamw),
                    {.servers = servers, .workers = workers, .clip = 0.5, .options = {.partitioner = partitioner}});
        expect_same(result, expected, fmt::format("{} servers, {} workers", servers, workers));
      }
    }
  }
}

TEST(ParameterServer, SyncHasMirroredsBitsWithShortBatchesIdleWorkersAndAccumulation) {
  const std::vector<std::int64_t> batches{14, 2, 14, 5, 1, 14};
  const Outcome expected = train(1, 7, 2, batches, 0.1);
  for (const int workers : {1, 2, 3, 5}) {
    const JobResult result =
        run_job(classifier(adamw),
                {.servers = 2, .workers = workers, .lanes = 7, .accumulate = 2, .batches = batches, .clip = 0.1});
    expect_same(result, expected, fmt::format("{} workers", workers));
  }
}

TEST(ParameterServer, BoundedStaleAndAsynchronousTrainingLearns) {
  const auto sgd = [] { return std::make_unique<optim::SGD>(optim::SGDOptions{.lr = 0.1}); };
  const std::vector<std::int64_t> batches(40, 16);
  const JobResult sync = run_job(classifier(sgd), {.batches = batches});
  for (const Consistency consistency : {Consistency::ssp, Consistency::async}) {
    const JobResult outcome = run_job(
        classifier(sgd),
        {.servers = 2, .workers = 3, .batches = batches, .options = {.consistency = consistency, .staleness = 2}});
    EXPECT_LT(outcome.losses.back(), outcome.losses.front());
    EXPECT_NEAR(outcome.losses.back(), sync.losses.back(), 0.3);
  }
}

TEST(ParameterServer, OneWorkerIsTheSameUnderEveryConsistency) {
  const Outcome expected = train(1, 4, 1, {16, 16, 16}, 0.5);
  for (const Consistency consistency : {Consistency::ssp, Consistency::async}) {
    expect_same(run_job(classifier(adamw), {.servers = 2, .clip = 0.5, .options = {.consistency = consistency}}),
                expected, std::string(name_of(consistency)));
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
