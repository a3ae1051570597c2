// A job of threads: servers beside workers, which run `batches` steps each.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/support/lane_loop.h"
#include "trireme/comm/environment.h"
#include "trireme/strategies/parameter_server/parameter_server.h"
#include "trireme/strategies/parameter_server/wire/in_process.h"

namespace trireme::strategies {

template <class Model>
struct Task {
  std::function<Model()> model;
  std::function<std::unique_ptr<optim::Optimizer>()> optimizer;
  // Of the leaf's items in the step.
  std::function<Tensor(Model&, const BatchSplit&, std::int64_t step, std::int64_t leaf)> loss;
};

struct Job {
  int servers = 1;
  int workers = 1;
  std::int64_t lanes = 4;
  std::int64_t accumulate = 1;
  std::vector<std::int64_t> batches = {16, 16, 16};
  double clip = 0;
  ParameterServerOptions options = {};
};

struct JobResult {
  std::set<std::string> hashes;  // of all workers
  std::vector<double> losses;    // of worker 0, a step
  std::vector<double> norms;
};

// One worker's steps, under any strategy.
template <class Model>
JobResult train_steps(const Task<Model>& task, const Job& job, const comm::World& ranks, Strategy& strategy) {
  JobResult result;
  Model model = task.model();
  const auto optimizer = task.optimizer();
  strategy.prepare(model, *optimizer);
  strategy.clip_grad_norm(job.clip);
  for (std::size_t step = 0; step < job.batches.size(); ++step) {
    const BatchSplit split{job.lanes, job.accumulate, job.batches[step]};
    const auto number = static_cast<std::int64_t>(step);
    test::run_step(split, number, ranks.rank(), ranks.size(), [&](std::int64_t leaf) {
      optimizer->zero_grad();
      task.loss(model, split, number, leaf).backward();
      EXPECT_EQ(strategy.step(), step_context().last_leaf_of_rank);
    });
    result.losses.push_back(strategy.report().loss);
    result.norms.push_back(strategy.report().grad_norm);
  }
  result.hashes.insert(params_hash(strategy));
  return result;
}

// What a server or a worker complains of becomes a failure of the test.
template <class Model>
JobResult run_job(const Task<Model>& task, const Job& job) {
  using parameter_server::Role;
  parameter_server::InProcessHub hub;
  ParameterServerOptions options = job.options;
  options.servers = job.servers;
  options.seed = 3;
  std::vector<std::thread> servers;
  std::vector<std::string> complaints(static_cast<std::size_t>(job.servers));
  for (int index = 0; index < job.servers; ++index) {
    servers.emplace_back([&, index, endpoint = std::shared_ptr(hub.join({Role::server, index}))] {
      complaints[static_cast<std::size_t>(index)] = test::error_of([&] {
        const Model model = task.model();
        const auto optimizer = task.optimizer();
        const auto plan = parameter_server::plan_for(model, *optimizer, job.workers, options);
        parameter_server::serve(*endpoint, plan, *optimizer);
      });
    });
  }
  JobResult result;
  std::mutex mutex;
  comm::run_local(job.workers, [&](comm::World ranks) {
    const auto endpoint = hub.join({Role::worker, ranks.rank()});
    ParameterServer strategy(ranks, *endpoint, options);
    JobResult mine = train_steps(task, job, ranks, strategy);
    const std::lock_guard lock(mutex);
    mine.hashes.insert(result.hashes.begin(), result.hashes.end());
    result.hashes = mine.hashes;
    if (ranks.rank() == 0) {
      result = mine;
    }
  });
  for (std::thread& server : servers) {
    server.join();
  }
  for (const std::string& complaint : complaints) {
    EXPECT_EQ(complaint, "no error");
  }
  return result;
}

}  // namespace trireme::strategies
