// GPT: names, shapes and first values of the specification, the tied head, and the loss against the logits.
#include "trireme/core/nn/models/gpt.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme::nn {
namespace {

std::map<std::string, Shape> shapes_of(const Module& module) {
  std::map<std::string, Shape> shapes;
  for (const NamedParameter& parameter : module.parameters()) {
    shapes[parameter.name] = parameter.tensor.shape();
  }
  return shapes;
}

GPTOptions tiny() { return {.layers = 2, .heads = 2, .width = 8, .context = 6, .vocab = 20}; }

Array ids(std::vector<std::int64_t> values, const Shape& shape) { return Array::from(values, shape); }

TEST(GPT, TheSmallGpt2HasHuggingFacesNamesShapesAndCount) {
  const GPT model;  // shapes only: nothing is allocated
  const std::map<std::string, Shape> shapes = shapes_of(model);
  EXPECT_EQ(shapes.size(), 2u + 12 * 12 + 2);
  EXPECT_EQ(shapes.at("transformer.wte.weight"), (Shape{50257, 768}));
  EXPECT_EQ(shapes.at("transformer.wpe.weight"), (Shape{1024, 768}));
  EXPECT_EQ(shapes.at("transformer.h.11.ln_1.weight"), (Shape{768}));
  EXPECT_EQ(shapes.at("transformer.h.0.attn.c_attn.weight"), (Shape{768, 2304}));
  EXPECT_EQ(shapes.at("transformer.h.0.attn.c_attn.bias"), (Shape{2304}));
  EXPECT_EQ(shapes.at("transformer.h.3.attn.c_proj.weight"), (Shape{768, 768}));
  EXPECT_EQ(shapes.at("transformer.h.3.mlp.c_fc.weight"), (Shape{768, 3072}));
  EXPECT_EQ(shapes.at("transformer.h.3.mlp.c_proj.weight"), (Shape{3072, 768}));
  EXPECT_EQ(shapes.at("transformer.ln_f.bias"), (Shape{768}));
  std::int64_t count = 0;
  for (const auto& [name, shape] : shapes) {
    count += shape.count();
  }
  EXPECT_EQ(count, 124'439'808);
}

TEST(GPT, BeginsWithTheDeviationsOfTheSpecification) {
  GPT model({.layers = 8, .heads = 2, .width = 64, .context = 64, .vocab = 256});
  model.initialize(1);
  for (const NamedParameter& parameter : model.parameters()) {
    double squares = 0;
    for (const float x : parameter.tensor.array().to_vector<float>()) {
      squares += static_cast<double>(x) * x;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(parameter.tensor.count()));
    const bool norm = parameter.name.find("ln_") != std::string::npos;
    const double expected = parameter.name.ends_with("bias")            ? 0
                            : norm                                      ? 1
                            : parameter.name.ends_with("c_proj.weight") ? 0.02 / 4
                                                                        : 0.02;
    EXPECT_NEAR(deviation, expected, 0.05 * expected) << parameter.name;
  }
}

TEST(GPT, TheLossIsTheMeanCrossEntropyOfTheLogits) {
  GPT model(tiny());
  model.initialize(3);
  const Array tokens = ids({1, 2, 3, 4, 5, 19, 18, 17}, {2, 4});
  const Array targets = ids({2, 3, 4, 5, 0, 18, 17, 16}, {2, 4});
  const std::vector<double> logits = model.logits(tokens).array().to_vector<double>();
  double expected = 0;
  for (std::size_t row = 0; row < 8; ++row) {
    double sum = 0;
    for (std::size_t v = 0; v < 20; ++v) {
      sum += std::exp(logits[row * 20 + v]);
    }
    expected += std::log(sum) - logits[row * 20 + static_cast<std::size_t>(targets.to_vector<int>()[row])];
  }
  const Tensor loss = model.loss(tokens, targets);
  EXPECT_NEAR(loss.item(), expected / 8, 1e-6);
  EXPECT_EQ(loss.weight(), 8);
}

TEST(GPT, TheHeadIsTiedSoTheTableGetsBothGradients) {
  GPT model(tiny());
  model.initialize(3);
  // Token 7 is never an input, so its row's gradient comes through the head; row 1 gets both.
  model.loss(ids({1, 1, 1, 1}, {1, 4}), ids({7, 7, 7, 7}, {1, 4})).backward();
  const std::vector<NamedParameter> parameters = model.parameters();
  const Array gradient = parameters[0].tensor.grad();
  ASSERT_EQ(parameters[0].name, "transformer.wte.weight");
  for (const std::int64_t row : {1, 7, 12}) {
    double squares = 0;
    for (const double x : gradient.select(0, row).to_vector<double>()) {
      squares += x * x;
    }
    EXPECT_GT(squares, 0) << "row " << row;
  }
  for (const NamedParameter& parameter : parameters) {
    EXPECT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
  }
}

TEST(GPT, AFutureTokenChangesNoEarlierLogit) {
  GPT model(tiny());
  model.initialize(3);
  const std::vector<float> a = model.logits(ids({1, 2, 3, 4}, {1, 4})).array().to_vector<float>();
  const std::vector<float> b = model.logits(ids({1, 2, 3, 9}, {1, 4})).array().to_vector<float>();
  for (std::size_t i = 0; i < 3 * 20; ++i) {
    ASSERT_EQ(a[i], b[i]);
  }
  EXPECT_NE(std::vector<float>(a.begin() + 60, a.end()), std::vector<float>(b.begin() + 60, b.end()));
}

TEST(GPT, TokensMayBeBytes) {
  GPT model(tiny());
  model.initialize(3);
  const Array wide = ids({1, 2, 3, 4}, {1, 4});
  EXPECT_EQ(model.loss(wide.to(DType::u8), wide.to(DType::u8)).item(), model.loss(wide, wide).item());
}

// docs/numerics.md states the bound.
TEST(GPT, WithBf16ParametersItsGradientIsWithinTwoPercentOfF32) {
  GPT model({.layers = 3, .heads = 2, .width = 48, .context = 16, .vocab = 64});
  model.initialize(3);
  std::vector<std::int64_t> values(65);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::int64_t>(i * i * 7 % 61);
  }
  const Array tokens = ids({values.begin(), values.end() - 1}, {4, 16});
  const Array targets = ids({values.begin() + 1, values.end()}, {4, 16});
  std::vector<NamedParameter> parameters = model.parameters();
  std::vector<std::vector<double>> exact;
  model.loss(tokens, targets).backward();
  for (NamedParameter& parameter : parameters) {
    exact.push_back(parameter.tensor.grad().to_vector<double>());
    parameter.tensor.zero_grad();
    parameter.tensor.set_compute_value(parameter.tensor.array().to(DType::bf16));
  }
  model.loss(tokens, targets).backward();
  double squares = 0;
  double errors = 0;
  for (std::size_t n = 0; n < parameters.size(); ++n) {
    const std::vector<double> got = parameters[n].tensor.grad().to_vector<double>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      squares += exact[n][i] * exact[n][i];
      errors += (got[i] - exact[n][i]) * (got[i] - exact[n][i]);
    }
  }
  EXPECT_LT(std::sqrt(errors / squares), 0.02);
  EXPECT_GT(std::sqrt(errors / squares), 1e-4) << "nothing was rounded";
}

TEST(GPT, DescentOnOneBatchLearnsIt) {
  GPT model(tiny());
  model.initialize(3);
  const Array tokens = ids({1, 2, 3, 4, 5, 6}, {1, 6}), targets = ids({2, 3, 4, 5, 6, 7}, {1, 6});
  const double start = model.loss(tokens, targets).item();
  for (int step = 0; step < 60; ++step) {
    model.loss(tokens, targets).backward();
    for (NamedParameter& parameter : model.parameters()) {
      float* value = parameter.tensor.array().data<float>();
      const float* gradient = parameter.tensor.grad().data<float>();
      for (std::int64_t i = 0; i < parameter.tensor.count(); ++i) {
        value[i] -= 0.3f * gradient[i];
      }
      parameter.tensor.zero_grad();
    }
  }
  EXPECT_LT(model.loss(tokens, targets).item(), 0.3 * start);
}

TEST(GPT, DropoutActsInTrainingOnly) {
  GPTOptions options = tiny();
  options.dropout = 0.5;
  GPT model(options);
  model.initialize(3);
  const Array tokens = ids({1, 2, 3, 4}, {1, 4});
  EXPECT_NE(model.loss(tokens, tokens).item(), model.loss(tokens, tokens).item());
  model.train(false);
  EXPECT_EQ(model.loss(tokens, tokens).item(), model.loss(tokens, tokens).item());
}

TEST(GPT, WrongSizesAreErrorsThatSayWhatIsExpected) {
  EXPECT_THROW(GPT({.heads = 5, .width = 8}), Error);
  EXPECT_THROW(GPT({.layers = 0}), Error);
  GPT model(tiny());
  model.initialize(3);
  const Array long_one = Array::zeros({1, 7}, DType::i64);
  try {
    model.logits(long_one);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("at most 6"), std::string::npos) << error.what();
  }
  EXPECT_THROW(model.loss(ids({1, 2}, {1, 2}), ids({1}, {1, 1})), Error);
  EXPECT_THROW(model.logits(ids({20}, {1, 1})), Error);
}

}  // namespace
}  // namespace trireme::nn
