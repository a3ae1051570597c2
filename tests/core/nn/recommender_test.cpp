// The recommender against a plain second implementation, with its lazy updates; its parameters; wrong sizes.
#include "trireme/core/nn/models/recommender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/nn/naive_recommender.h"
#include "tests/core/nn/recommender_steps.h"
#include "tests/support/error_of.h"
#include "trireme/core/optim/adagrad.h"

namespace trireme::nn {
namespace {

using test::clicks_of;

TEST(Recommender, TrainsAsAPlainSecondImplementation) {
  for (const Interaction interaction : {Interaction::dot, Interaction::concat}) {
    const RecommenderOptions options{
        .rows = 40, .dim = 5, .categories = 3, .dense = 2, .interaction = interaction, .bottom = 7, .top = 8};
    Recommender model(options);
    model.initialize(3);
    test::NaiveRecommender naive(model);
    test::RecommenderSteps steps(model,
                                 std::make_unique<optim::Adagrad>(optim::AdagradOptions{.lr = 0.1, .eps = 1e-8}));
    for (std::int64_t step = 0; step < 8; ++step) {
      const data::Batch batch = clicks_of(options, 20 * step, 20);
      const double loss = steps.step(batch);
      ASSERT_NEAR(loss, naive.step(batch.inputs, batch.categories, batch.labels, 0.1, 1e-8), 1e-5) << step;
    }
    for (const NamedParameter& parameter : model.parameters()) {
      const std::vector<double> got = parameter.tensor.array().to_vector<double>();
      const std::vector<double>& expected = naive.values().at(parameter.name);
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], expected[i], 2e-4) << parameter.name << " element " << i;
      }
    }
  }
}

TEST(Recommender, HasOneTableForAllCategoriesOrOneForEach) {
  const auto names = [](bool own) {
    std::vector<std::string> all;
    const Recommender model({.rows = 10, .categories = 2, .own_tables = own});
    for (const NamedParameter& parameter : model.parameters()) {
      EXPECT_EQ(parameter.sparse, parameter.name.starts_with("embedding"));
      all.push_back(parameter.name);
    }
    return all;
  };
  EXPECT_THAT(names(false), testing::ElementsAre("embedding.weight", "bottom.0.weight", "bottom.0.bias",
                                                 "bottom.2.weight", "bottom.2.bias", "top.0.weight", "top.0.bias",
                                                 "top.2.weight", "top.2.bias", "top.4.weight", "top.4.bias"));
  EXPECT_THAT(names(true), testing::IsSupersetOf({"embedding.0.weight", "embedding.1.weight"}));
}

TEST(Recommender, OwnTablesAreOneTableWithRowsApart) {
  const RecommenderOptions shared{.rows = 30, .dim = 4, .categories = 3, .dense = 2};
  RecommenderOptions own = shared;
  own.rows = 10;
  own.own_tables = true;
  Recommender one(shared), three(own);
  one.initialize(1);
  three.initialize(2);
  for (NamedParameter& parameter : three.parameters()) {
    for (const NamedParameter& other : one.parameters()) {
      if (other.name == parameter.name) {
        parameter.tensor.set_value(other.tensor.array());
      } else if (parameter.sparse && other.sparse) {
        const std::int64_t table = parameter.name[std::string("embedding.").size()] - '0';
        parameter.tensor.set_value(other.tensor.array().narrow(0, 10 * table, 10).contiguous());
      }
    }
  }
  const data::Batch batch = clicks_of(shared, 0, 12);  // category c has rows [10 c, 10 c + 10)
  const Array within = batch.categories.clone();
  for (std::int64_t& row : within.span<std::int64_t>()) {
    row %= 10;
  }
  EXPECT_EQ(three.logits(batch.inputs, within).array().to_vector<float>(),
            one.logits(batch.inputs, batch.categories).array().to_vector<float>());
}

TEST(Recommender, WrongSizesAreErrors) {
  EXPECT_THROW(Recommender({.rows = 0}), Error);
  EXPECT_THROW(Recommender({.dense = 0}), Error);
  Recommender model({.rows = 10, .categories = 2, .dense = 1});
  model.initialize(1);
  const Array dense = Array::zeros({3, 1});
  EXPECT_THAT(test::error_of([&] {
                model.logits(dense, Array::zeros({3, 4}, DType::i64));
              }),
              testing::HasSubstr("i64[B, 2] expected"));
  EXPECT_THAT(test::error_of([&] {
                model.logits(dense, Array::full({3, 2}, 10, DType::i64));
              }),
              testing::HasSubstr("index 10"));
}

}  // namespace
}  // namespace trireme::nn
