// The training loop by hand: the whole of what a program needs to train on any number of ranks.
//
//   simple_net DIRECTORY                                    (with MNIST's four files)
//   trireme run --nproc-per-node 2 -- simple_net DIRECTORY  (the same program on two processes)
#include <trireme/trireme.h>

#include <cstdio>

using namespace trireme;

int main(int argc, char** argv) {
  auto world = comm::from_environment();  // trireme run, torchrun, or a lone process
  auto model = nn::Sequential(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));
  auto adamw = optim::AdamW({.lr = 1e-3});

  auto strategy = strategies::Mirrored(world);
  strategy.prepare(model, adamw);  // nothing below knows how many ranks there are

  for (auto& batch : data::Loader(data::Idx("train-images", "train-labels"), {.batch_size = 64}, world)) {
    adamw.zero_grad();
    Tensor loss = nn::cross_entropy(model(batch.inputs), batch.labels);
    loss.backward();
    strategy.step();
  }
}
