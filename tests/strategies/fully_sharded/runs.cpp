#include "tests/strategies/fully_sharded/runs.h"

#include <gtest/gtest.h>

#include <exception>
#include <mutex>
#include <thread>

#include "tests/support/lane_loop.h"
#include "trireme/comm/environment.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/store/memory_store.h"
#include "trireme/core/base/random.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::test {
namespace {

void run_shm_threads(int size, const std::function<void(comm::World)>& body) {
  comm::MemoryStore store;
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(comm::World(comm::shm::ShmCommunicator::connect(rank, size, store, std::chrono::seconds(20)), size));
      } catch (...) {
        const std::lock_guard lock(mutex);
        first = first ? first : std::current_exception();
      }
    });
  }
  threads.clear();
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace

void run_ranks(Over over, int size, const std::function<void(comm::World)>& body) {
  if (over == Over::shm) {
    run_shm_threads(size, body);
  } else {
    comm::run_local(size, body);
  }
}

Array tokens_of(std::int64_t step, std::int64_t begin, std::int64_t items, std::int64_t length, std::int64_t vocab) {
  const RandomStream stream(7, "tokens");
  const Array tokens = Array::empty({items, length}, DType::i64);
  for (std::int64_t i = 0; i < tokens.count(); ++i) {
    const auto place = static_cast<std::uint64_t>((step * 1000 + begin) * length + i);
    tokens.data<std::int64_t>()[i] = static_cast<std::int64_t>(stream.bits(place) % static_cast<std::uint64_t>(vocab));
  }
  return tokens;
}

Task gpt(const nn::GPTOptions& options) {
  auto model = std::make_shared<nn::GPT>(options);
  return {model, [model, options](const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
            const std::int64_t begin = split.begin_of(leaf);
            const std::int64_t items = split.items_of(leaf);
            return model->loss(tokens_of(step, begin, items, options.context, options.vocab),
                               tokens_of(step + 1, begin, items, options.context, options.vocab));
          }};
}

std::unique_ptr<strategies::Strategy> make_strategy(comm::World world, const Job& job) {
  if (job.sharded) {
    return std::make_unique<strategies::FullySharded>(std::move(world), *job.sharded);
  }
  return std::make_unique<strategies::Mirrored>(std::move(world),
                                                strategies::MirroredOptions{.param_dtype = job.param_dtype});
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << outcome.hash;
  for (std::size_t i = 0; i < outcome.losses.size(); ++i) {
    out << " " << outcome.losses[i] << "/" << outcome.norms[i];
  }
  return out;
}

Outcome run(const Job& job) {
  std::mutex mutex;
  std::vector<Outcome> outcomes;
  run_ranks(job.over, job.world, [&](comm::World world) {
    Task task = job.task();
    const auto optimizer =
        job.optimizer ? job.optimizer() : std::make_unique<optim::AdamW>(optim::AdamWOptions{.lr = 1e-2});
    const auto strategy = make_strategy(world, job);
    strategy->prepare(*task.model, *optimizer);
    strategy->clip_grad_norm(job.clip);
    if (job.before) {
      job.before(world, *strategy, task, *optimizer);
    }
    Outcome mine;
    for (std::size_t i = 0; i < job.batches.size(); ++i) {
      const std::int64_t step = job.first_step + static_cast<std::int64_t>(i);
      const BatchSplit split{job.lanes, job.accumulate, job.batches[i]};
      run_step(split, step, world.rank(), world.size(), [&](std::int64_t leaf) {
        optimizer->zero_grad();
        task.loss(split, step, leaf).backward();
        EXPECT_EQ(strategy->step(), step_context().last_leaf_of_rank);
      });
      mine.losses.push_back(strategy->report().loss);
      mine.norms.push_back(strategy->report().grad_norm);
      if (job.after_step) {
        job.after_step(world, *strategy, task, step);
      }
    }
    if (job.after) {
      job.after(world, *strategy, task, *optimizer);
    }
    mine.hash = strategies::params_hash(strategy->full_parameters());
    const std::lock_guard lock(mutex);
    outcomes.push_back(std::move(mine));
  });
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome, outcomes[0]) << "ranks ended with different results";
  }
  return outcomes.at(0);
}

}  // namespace trireme::test
