// The training loop by hand: all that a program needs in order to train on any number of ranks.
//
//   simple_net mnist_directory
//   trireme run --nproc-per-node 2 -- simple_net mnist_directory     (the same program on two processes)
#include <trireme/trireme.h>

#include <cstdio>

using namespace trireme;

static void train(const std::string& folder) {
  auto world = comm::from_environment();  // trireme run, mpirun, srun, or a lone process
  auto model = nn::Sequential(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));
  auto adamw = optim::AdamW({.lr = 1e-3});

  auto strategy = strategies::Mirrored(world);
  strategy.prepare(model, adamw);  // nothing below knows how many ranks there are

  for (auto& batch : data::Loader(data::Idx::train(folder), {.batch_size = 64}, world)) {
    adamw.zero_grad();
    Tensor loss = nn::cross_entropy(model(batch.inputs), batch.labels);
    loss.backward();
    strategy.step();
  }
  std::printf("loss %.4f\n", strategy.report().loss);
}

int main(int argc, char** argv) {
  try {
    train(argc > 1 ? argv[1] : ".");
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.kind() == ErrorKind::usage ? 2 : 1;
  }
}
