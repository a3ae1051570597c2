// SimpleNet on images in IDX files: simplenet TRAIN_IMAGES TRAIN_LABELS. Runs alone or on any number of ranks under
// `trireme run`; nothing in the loop knows how many there are.
#include <trireme/trireme.h>

#include <cstdio>

using namespace trireme;

int main(int argc, char** argv) try {
  require_usage(argc == 3, "simplenet: {} arguments given, TRAIN_IMAGES TRAIN_LABELS expected", argc - 1);
  auto world = comm::from_environment();
  auto model = nn::Sequential(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));
  auto adamw = optim::AdamW({.lr = 1e-3});

  auto strategy = strategies::Mirrored(world);
  strategy.prepare(model, adamw);

  for (auto& batch : data::Loader(data::Idx(argv[1], argv[2]), {.batch_size = 64}, world)) {
    adamw.zero_grad();
    Tensor loss = nn::cross_entropy(model(batch.inputs), batch.labels);
    loss.backward();
    strategy.step();
  }
  if (world.rank() == 0) {
    std::printf("%lld steps, loss %.4f\n", static_cast<long long>(strategy.report().step + 1), strategy.report().loss);
  }
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.kind() == ErrorKind::usage ? 2 : 1;
}
