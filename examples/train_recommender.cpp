// Trains a recommender: will this person click? On click logs in Criteo's format, or on clicks that it draws.
//
//   train_recommender --rows 20000000 --dim 16
//   trireme run --nproc-per-node 2 -- train_recommender --data train.txt
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "trireme/core/data/clicks.h"
#include "trireme/core/data/csv.h"
#include "trireme/core/data/subset.h"
#include "trireme/core/nn/models/recommender.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/training/evaluate.h"
#include "trireme/training/program.h"
#include "trireme/training/trainer.h"

using namespace trireme;

namespace {

constexpr const char* kExamples =
    "--data: files of lines 'label, 13 whole numbers, 26 categories' with tabs between them, as Criteo's click logs;\n"
    "fields but the label may be missing. Of a directory all files. Categories are hashed into --rows.\n"
    "Examples:\n"
    "  train_recommender                                draws clicks with a power-law popularity and learns them\n"
    "  train_recommender --rows 20000000 --dim 16 --optimizer rowwise_adagrad\n"
    "  trireme run --nproc-per-node 2 -- train_recommender --data train.txt --rows 1000000 --tables own\n"
    "  trireme run --servers 2 --nproc-per-node 2 -- train_recommender --strategy parameter_server\n";

struct Choices {
  nn::RecommenderOptions model{};
  std::string tables = "shared";
  std::string interaction = "dot";
  std::string optimizer = "adagrad";
  std::int64_t items = 1'000'000;
  double held_out = 0.1;
};

struct ClickSets {
  std::shared_ptr<const data::Dataset> train;
  std::shared_ptr<const data::Dataset> test;
};

// The last items are held out: click logs are in order of time.
ClickSets cut(std::shared_ptr<const data::Dataset> all, double held_out) {
  require_usage(held_out >= 0 && held_out < 1, "--held-out {} given, a share in [0, 1) expected", held_out);
  const auto test = static_cast<std::int64_t>(std::floor(held_out * static_cast<double>(all->count())));
  const std::int64_t train = all->count() - test;
  return {std::make_shared<const data::Subset>(all, 0, train), std::make_shared<const data::Subset>(all, train, test)};
}

// Says how many columns of each kind the model will get.
std::shared_ptr<const data::Dataset> open_clicks(const training::ProgramOptions& options, Choices& choices) {
  nn::RecommenderOptions& model = choices.model;
  if (options.data.empty()) {
    return std::make_shared<const data::Clicks>(data::ClicksOptions{.count = choices.items,
                                                                    .rows = model.rows,
                                                                    .categories = model.categories,
                                                                    .dense = model.dense,
                                                                    .seed = options.seed});
  }
  const data::CsvOptions format = data::CsvOptions::criteo(model.rows);
  model.categories = static_cast<std::int64_t>(format.categories.size());
  model.dense = static_cast<std::int64_t>(format.dense.size());
  return std::make_shared<const data::Csv>(std::vector<std::filesystem::path>(options.data.begin(), options.data.end()),
                                           format);
}

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, const training::ProgramOptions& options) {
  if (name == "adamw") {
    return std::make_unique<optim::AdamW>(
        optim::AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay, .decay_min_dims = 2});
  }
  if (name == "sgd") {
    return std::make_unique<optim::SGD>(optim::SGDOptions{.lr = options.lr, .weight_decay = options.weight_decay});
  }
  const optim::AdagradOptions adagrad{.lr = options.lr, .weight_decay = options.weight_decay};
  if (name == "rowwise_adagrad") {
    return std::make_unique<optim::RowwiseAdagrad>(adagrad);
  }
  return std::make_unique<optim::Adagrad>(adagrad);
}

void add_options(training::OptionParser& parser, Choices& choices) {
  parser.add("--rows", choices.model.rows, "rows of a table");
  parser.add("--dim", choices.model.dim, "numbers of a row");
  parser.add("--tables", choices.tables, "one table for all categories, or one of --rows for each", {"shared", "own"});
  parser.add("--interaction", choices.interaction, "how the vectors of an example meet", {"dot", "concat"});
  parser.add("--bottom", choices.model.bottom, "hidden units between the numbers and their vector");
  parser.add("--top", choices.model.top, "hidden units behind the interaction; half as many in the next layer", 2);
  parser.add("--optimizer", choices.optimizer, "of all parameters; rows that a step does not touch are left alone",
             {"adagrad", "rowwise_adagrad", "adamw", "sgd"});
  parser.add("--held-out", choices.held_out, "share of the examples, the last ones, that AUC and log loss are of");
  parser.add("--items", choices.items, "without --data: clicks to draw");
  parser.add("--categories", choices.model.categories, "without --data: category columns");
  parser.add("--dense", choices.model.dense, "without --data: number columns");
  parser.set_examples(kExamples);
}

}  // namespace

int main(int argc, char** argv) {
  training::ProgramOptions options{.epochs = 1, .global_batch = 1024, .lr = 0.05};
  Choices given;
  training::OptionParser parser("train_recommender", "Trains a recommender on clicks.", options);
  add_options(parser, given);

  return training::run_program(argc, argv, parser, options, [&](training::Session& session) {
    Choices choices = given;  // ranks may be threads
    choices.model.own_tables = choices.tables == "own";
    choices.model.interaction = choices.interaction == "dot" ? nn::Interaction::dot : nn::Interaction::concat;
    const ClickSets clicks = cut(open_clicks(options, choices), choices.held_out);
    nn::Recommender model(choices.model);
    const auto optimizer = make_optimizer(choices.optimizer, options);
    const auto activations = [&](std::int64_t items) { return model.activation_memory(items); };
    if (session.plan(model, *optimizer, {activations, 8 * choices.model.categories + 4 * choices.model.dense + 4})) {
      return training::kExitDone;
    }
    const auto strategy = session.make_strategy();
    data::Loader loader(clicks.train, session.loader_options(), session.world());

    training::TrainerOptions how = session.trainer_options("examples");
    how.loss = [&](const data::Batch& batch) { return model.loss(batch.inputs, batch.categories, batch.labels); };
    if (clicks.test->count() > 0) {
      how.evaluate_at_end = true;
      how.evaluate = [&] {
        return training::measure_clicks(
            [&](const data::Batch& batch) { return model.logits(batch.inputs, batch.categories); }, *clicks.test,
            *strategy);
      };
    }
    training::Trainer trainer(model, *optimizer, *strategy, how);
    const training::FitResult result = trainer.fit(loader);
    if (result.test) {
      session.print(result.test->text);
    }
    return session.exit_code(result);
  });
}
