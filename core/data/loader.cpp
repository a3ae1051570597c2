#include "trireme/core/data/loader.h"

#include <optional>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/base/activity.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/physical_memory.h"
#include "trireme/core/base/step_context.h"
#include "trireme/core/data/prefetcher.h"

namespace trireme::data {

struct Loader::State {
  FeedPlan plan;
  int prefetch = 0;
  std::chrono::milliseconds timeout{0};
  bool running = false;   // a leaf has been handed out: `leaf` of `step`
  std::int64_t step = 0;  // of that leaf, else the next one
  std::int64_t leaf = -1;
  std::int64_t stop = 0;   // of the loop that runs
  BatchSplit split;        // of `step`
  std::int64_t next = -1;  // the leaf after `leaf`; -1: `leaf` is the step's last of this rank
  Batch own;               // without prefetching
  Batch* current = nullptr;
  std::vector<std::int64_t> items;
  std::unique_ptr<Prefetcher> prefetcher;  // destroyed before what it uses

  void rewind(std::int64_t to) {
    running = false;
    step = to;
    prefetcher.reset();
  }

  void tell(std::int64_t run, std::int64_t count, bool last) const {
    StepContext& context = step_context();
    context.seed = plan.sampler.seed;
    context.step = step;
    context.split = split;
    context.leaf = run;
    context.leaf_items = count;
    context.last_leaf_of_rank = last;
    ++context.pass;
    enter_step(step);
  }

  // Takes part in a step in which this rank has nothing.
  void idle() {
    tell(plan.leaves().begin, 0, true);
    if (StepOwner* owner = step_context().owner) {
      owner->run_idle_step();
    }
  }

  void take() {
    if (prefetch == 0) {
      make_batch(plan, step, leaf, items, own);
      current = &own;
      return;
    }
    if (!prefetcher) {
      prefetcher = std::make_unique<Prefetcher>(plan, step, prefetch);
    }
    current = &prefetcher->next(timeout);
  }

  // Goes on to the next leaf, if the loop's end does not come first.
  void advance() {
    enter_phase(Phase::loading_data);
    if (running && next >= 0) {
      leaf = next;
    } else {
      step += running ? 1 : 0;
      running = begin_step();
    }
    if (running) {
      take();
      next = next_leaf(split, plan.leaves(), leaf);
      tell(leaf, split.items_of(leaf), next < 0);
    }
    enter_phase(running ? Phase::forward : Phase::program);
  }

  // Finds the first step from `step` on in which this rank has a leaf; false if the loop's end comes first.
  bool begin_step() {
    for (; step < stop; ++step) {
      split = plan.split_of(step);
      leaf = next_leaf(split, plan.leaves(), plan.leaves().begin - 1);
      if (leaf >= 0) {
        return true;
      }
      idle();
    }
    return false;
  }
};

namespace {

void check(const LoaderOptions& options, std::int64_t lanes, std::int64_t items) {
  require_usage(items > 0, "data::Loader: the dataset has no items");
  // Every sample of a batch has an index in memory at least.
  require_usage(options.batch_size <= physical_memory() / 64 || physical_memory() == 0,
                "data::Loader: a batch of {} samples cannot be held by this machine; use a smaller one",
                options.batch_size);
  require_usage(options.batch_size > 0 && lanes > 0 && options.accumulate > 0,
                "data::Loader: batch_size {}, lanes {}, accumulate {} given, positive numbers expected",
                options.batch_size, lanes, options.accumulate);
  require_usage(
      options.batch_size % lanes == 0,
      "data::Loader: a global batch of {} cannot be cut into {} lanes of the same size; give a multiple of {}, or "
      "another number of lanes",
      options.batch_size, lanes, lanes);
}

}  // namespace

Loader::Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options, RankLayout layout)
    : state_(std::make_unique<State>()) {
  const std::int64_t lanes = options.lanes == 0 ? layout.lanes : options.lanes;
  check(options, lanes, dataset->count());
  lanes_of_rank(lanes, layout.size, layout.rank);  // raises if a rank would have no lane
  state_->prefetch = options.prefetch >= 0 ? options.prefetch : dataset->in_memory() ? 0 : 2;
  state_->timeout = options.timeout;
  const Sampler sampler{dataset->count(), options.batch_size, options.order, options.seed};
  state_->plan = {std::move(dataset), sampler, layout, lanes, options.accumulate, {}, {}};
  state_->rewind(0);
}

Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;
Loader::~Loader() = default;

Loader& Loader::map(MapItem map) & {
  require(!state_->prefetcher, "data::Loader::map: the loader already runs; add map steps before the first loop");
  state_->plan.item_maps.push_back(std::move(map));
  return *this;
}

Loader& Loader::map_batch(MapBatch map) & {
  require(!state_->prefetcher, "data::Loader::map_batch: the loader already runs; add map steps before the first loop");
  state_->plan.batch_maps.push_back(std::move(map));
  return *this;
}

Loader::Iterator Loader::begin() { return start((position().epoch + 1) * steps_per_epoch()); }

Loader::Iterator Loader::start(std::int64_t stop) {
  State& state = *state_;
  if (state.running) {  // an earlier loop was left: after a step's last leaf with the next step, else with this one
    state.rewind(position().step);
  }
  state.stop = stop;
  state.advance();
  return Iterator(this);
}

Batch& Loader::current() { return *state_->current; }
void Loader::advance() { state_->advance(); }
bool Loader::ended() const { return !state_->running; }

Loader::Position Loader::position() const {
  const std::int64_t step = state_->step + (state_->running && state_->next < 0 ? 1 : 0);
  return {step, step / steps_per_epoch(), step % steps_per_epoch()};
}

void Loader::seek(std::int64_t step) {
  require(step >= 0, "data::Loader::seek: step {} given, a number that is not negative expected", step);
  state_->rewind(step);
}

void Loader::seek(std::int64_t epoch, std::int64_t batch) {
  require(epoch >= 0 && batch >= 0 && batch < steps_per_epoch(),
          "data::Loader::seek: epoch {}, batch {} given, batches of an epoch are 0 to {}", epoch, batch,
          steps_per_epoch() - 1);
  seek(epoch * steps_per_epoch() + batch);
}

std::int64_t Loader::steps_per_epoch() const { return state_->plan.sampler.steps_per_epoch(); }
std::int64_t Loader::items_per_epoch() const { return state_->plan.sampler.count; }
std::int64_t Loader::lanes() const { return state_->plan.lanes; }
std::int64_t Loader::accumulate() const { return state_->plan.accumulate; }
std::int64_t Loader::batch_size() const { return state_->plan.sampler.batch_size; }
std::uint64_t Loader::seed() const { return state_->plan.sampler.seed; }
Order Loader::order() const { return state_->plan.sampler.order; }
const Dataset& Loader::dataset() const { return *state_->plan.dataset; }

}  // namespace trireme::data
