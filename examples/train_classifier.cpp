// Trains a classifier of images: SimpleNet or a ResNet, on MNIST-like IDX files, CIFAR binaries, or digits that it
// draws.
//
//   train_classifier --data mnist_directory --epochs 5
//   trireme run --nproc-per-node 2 -- train_classifier --model resnet --data cifar-10-batches-bin
#include <filesystem>

#include "trireme/core/data/cifar.h"
#include "trireme/core/data/digits.h"
#include "trireme/core/data/idx.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/training/evaluate.h"
#include "trireme/training/program.h"
#include "trireme/training/trainer.h"

using namespace trireme;

namespace {

constexpr const char* kExamples =
    "--data: TRAIN_IMAGES TRAIN_LABELS [TEST_IMAGES TEST_LABELS] (IDX), a directory with MNIST's file names,\n"
    "CIFAR-10 binaries (TRAIN.bin... [test_batch.bin]), or their directory.\n"
    "Examples:\n"
    "  train_classifier                                 draws distorted digits and learns them\n"
    "  train_classifier --data mnist --epochs 20 --patience 3\n"
    "  trireme run --nproc-per-node 2 -- train_classifier --model resnet --data cifar-10-batches-bin\n";

struct ImageSets {
  std::shared_ptr<const data::Images> train;
  std::shared_ptr<const data::Images> test;  // null: there is none
};

template <class Images>
std::shared_ptr<const data::Images> share(Images images) {
  return std::make_shared<const Images>(std::move(images));
}

ImageSets open_directory(const std::filesystem::path& directory, bool flatten) {
  if (std::filesystem::exists(directory / "data_batch_1.bin")) {
    return {share(data::Cifar10::train(directory)), share(data::Cifar10::test(directory))};
  }
  const bool tested = std::filesystem::exists(directory / "t10k-images-idx3-ubyte") ||
                      std::filesystem::exists(directory / "t10k-images.idx3-ubyte");
  return {share(data::Idx::train(directory, flatten)), tested ? share(data::Idx::test(directory, flatten)) : nullptr};
}

ImageSets open_cifar(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> train;
  std::vector<std::filesystem::path> test;
  for (const std::filesystem::path path : paths) {
    (path.filename().string().starts_with("test") ? test : train).push_back(path);
  }
  return {share(data::Cifar10(train)), test.empty() ? nullptr : share(data::Cifar10(test))};
}

ImageSets open_images(const std::vector<std::string>& paths, bool flatten, std::uint64_t seed) {
  if (paths.empty()) {
    return {share(data::Digits({.seed = seed, .flatten = flatten})),
            share(data::Digits({.count = 2000, .seed = seed, .test = true, .flatten = flatten}))};
  }
  if (paths.size() == 1 && std::filesystem::is_directory(paths[0])) {
    return open_directory(paths[0], flatten);
  }
  if (paths[0].ends_with(".bin")) {
    return open_cifar(paths);
  }
  require(paths.size() == 2 || paths.size() == 4,
          "--data {}: {} paths given; TRAIN_IMAGES TRAIN_LABELS [TEST_IMAGES TEST_LABELS], CIFAR .bin files or one "
          "directory expected",
          paths[0], paths.size());
  return {share(data::Idx(paths[0], paths[1], flatten)),
          paths.size() == 4 ? share(data::Idx(paths[2], paths[3], flatten)) : nullptr};
}

struct Model {
  std::unique_ptr<nn::Module> module;
  training::StepFormula step;  // what memory plans must know of it
};

Model make_model(const std::string& kind, const data::Images& images, bool sync_batch_norm) {
  const std::int64_t classes = std::max<std::int64_t>(10, images.classes());
  require_usage(kind == "resnet" || !sync_batch_norm,
                "--sync-batch-norm: --model {} has no batch normalization; use --model resnet or leave it out", kind);
  const Shape shape = images.image_shape();
  const std::int64_t bytes = shape.count() * static_cast<std::int64_t>(sizeof(float));
  if (kind == "resnet") {
    auto model = std::make_unique<nn::ResNet>(
        nn::ResNetOptions{.channels = shape[0], .classes = classes, .synchronized_batch_norm = sync_batch_norm});
    const auto activations = [model = model.get(), shape](std::int64_t items) {
      return model->activation_memory(items, shape[1], shape[2]);
    };
    return {std::move(model), {activations, bytes}};
  }
  auto model = std::make_unique<nn::SimpleNet>(nn::SimpleNetOptions{.inputs = shape.count(), .classes = classes});
  const auto activations = [model = model.get()](std::int64_t items) { return model->activation_memory(items); };
  return {std::move(model), {activations, bytes}};
}

}  // namespace

int main(int argc, char** argv) {
  training::ProgramOptions options{.epochs = 5, .global_batch = 64, .lr = 1e-3};
  std::string kind = "mlp";
  bool sync_batch_norm = false;
  std::int64_t patience = 0;
  training::OptionParser parser("train_classifier", "Trains a classifier of images.", options);
  parser.add("--model", kind, "SimpleNet (784-128-10) or a ResNet of 20 layers", {"mlp", "resnet"});
  parser.add_flag("--sync-batch-norm", sync_batch_norm,
                  "batch statistics over all ranks; needs as many --lanes as ranks");
  parser.add("--patience", patience, "end after so many epochs without a better test accuracy; 0: never", 0);
  parser.set_examples(kExamples);

  return training::run_program(argc, argv, parser, options, [&](training::Session& session) {
    const ImageSets images = open_images(options.data, kind == "mlp", options.seed);
    const auto [model, step] = make_model(kind, *images.train, sync_batch_norm);
    optim::AdamW adam({.lr = options.lr, .weight_decay = options.weight_decay, .decay_min_dims = 2});
    if (session.plan(*model, adam, step)) {
      return training::kExitDone;
    }
    const auto strategy = session.make_strategy();
    data::Loader loader(images.train, session.loader_options(), session.world());

    training::TrainerOptions how = session.trainer_options("examples");
    if (images.test) {
      how.evaluate = [&images, &model = *model, &strategy = *strategy] {
        return training::measure_accuracy(model, *images.test, strategy);
      };
    }
    if (patience > 0) {
      how.early_stopping = {.patience = patience, .larger_is_better = images.test != nullptr};
    }
    training::Trainer trainer(*model, adam, *strategy, how);
    return session.exit_code(trainer.fit(loader));
  });
}
