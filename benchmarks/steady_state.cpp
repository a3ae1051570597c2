// Allocations and page faults of each training step of a GPT: bench_steady_state [STEPS [STRATEGY]], alone or under
// `trireme run`. STRATEGY is mirrored, or zero1, zero2, zero3 with mapped or, as gathered1, ..., gathered parameters.
// The process's own are counted, on all its threads; each rank prints a line a step. Exit code 1 if a step after the
// third allocated. Page faults are no reason to fail: the kernel may take pages back at any time.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "benchmarks/malloc_counter-inl.h"
#include "trireme/comm/environment.h"
#include "trireme/core/base/random.h"
#include "trireme/core/data/loader.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"

using namespace trireme;

namespace {

constexpr std::int64_t kContext = 64;
constexpr std::int64_t kBatch = 12;
constexpr int kWarmUp = 3;

// Random bytes as text: what is measured does not depend on what is learned.
class RandomText final : public data::Dataset {
 public:
  std::int64_t count() const override { return 1 << 16; }
  void fetch(std::span<const std::int64_t> items, data::Batch& batch) const override {
    batch.items = static_cast<std::int64_t>(items.size());
    data::make_room(batch.inputs, {batch.items, kContext}, DType::u8);
    data::make_room(batch.labels, {batch.items, kContext}, DType::u8);
    for (std::int64_t i = 0; i < batch.items; ++i) {
      for (std::int64_t t = 0; t < kContext; ++t) {
        const auto place = static_cast<std::uint64_t>(items[static_cast<std::size_t>(i)] * kContext + t);
        batch.inputs.data<std::uint8_t>()[i * kContext + t] = static_cast<std::uint8_t>(bytes_.bits(place));
        batch.labels.data<std::uint8_t>()[i * kContext + t] = static_cast<std::uint8_t>(bytes_.bits(place + 1));
      }
    }
  }

 private:
  RandomStream bytes_{1, "random text"};
};

std::unique_ptr<strategies::Strategy> make_strategy(const comm::World& world, const std::string& kind) {
  if (kind == "mirrored") {
    return std::make_unique<strategies::Mirrored>(world);
  }
  const bool gathered = kind.starts_with("gathered");
  const char stage = kind.empty() ? ' ' : kind.back();
  const bool known =
      kind.substr(0, kind.size() - 1) == (gathered ? "gathered" : "zero") && stage >= '1' && stage <= '3';
  require_usage(known, "bench_steady_state: '{}' given, mirrored, zero1 to zero3, or gathered1 to gathered3 expected",
                kind);
  return std::make_unique<strategies::FullySharded>(
      world, strategies::FullyShardedOptions{.zero_stage = stage - '0', .share_memory = !gathered});
}

int measure(std::int64_t steps, const std::string& kind) {
  const comm::World world = comm::from_environment();
  nn::GPT model({.layers = 4, .heads = 4, .width = 128, .context = kContext, .vocab = 256});
  optim::AdamW adamw({.lr = 3e-4});
  const auto strategy = make_strategy(world, kind);
  strategy->prepare(model, adamw);
  strategy->clip_grad_norm(1.0);
  data::Loader loader(RandomText(), {.batch_size = kBatch}, world);

  std::uint64_t late_mallocs = 0;
  std::uint64_t late_faults = 0;
  std::uint64_t mallocs = bench::malloc_calls;
  std::uint64_t faults = bench::page_faults();
  for (auto& batch : loader.until_step(steps)) {
    adamw.zero_grad();
    const Tensor loss = model.loss(batch.inputs, batch.labels);
    loss.backward();
    if (!strategy->step()) {
      continue;
    }
    mallocs = bench::malloc_calls - mallocs;
    faults = bench::page_faults() - faults;
    const std::int64_t step = strategy->report().step;
    std::printf("rank %d step %lld: %llu mallocs, %llu page faults\n", world.rank(), static_cast<long long>(step),
                static_cast<unsigned long long>(mallocs), static_cast<unsigned long long>(faults));
    late_mallocs += step < kWarmUp ? 0 : mallocs;
    late_faults += step < kWarmUp ? 0 : faults;
    mallocs = bench::malloc_calls;  // from here on, so that printing does not count
    faults = bench::page_faults();
  }
  std::printf("rank %d, after %d steps: %llu mallocs, %llu page faults%s\n", world.rank(), kWarmUp,
              static_cast<unsigned long long>(late_mallocs), static_cast<unsigned long long>(late_faults),
              bench::malloc_counting ? "" : " (a sanitizer's allocator: mallocs not counted)");
  return late_mallocs == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  std::int64_t steps = 20;
  if (argc >= 2) {
    const char* end = argv[1] + std::strlen(argv[1]);
    const auto result = std::from_chars(argv[1], end, steps);
    require_usage(result.ptr == end && steps > 0, "bench_steady_state: '{}' given, a number of steps expected",
                  argv[1]);
  }
  require_usage(argc <= 3, "bench_steady_state: {} arguments given, [STEPS [STRATEGY]] expected", argc - 1);
  return measure(steps, argc == 3 ? argv[2] : "mirrored");
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.kind() == ErrorKind::usage ? 2 : 1;
}
