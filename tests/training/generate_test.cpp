#include "trireme/training/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "trireme/core/base/error.h"

namespace trireme::training {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(PickToken, ADrawFollowsTheProbabilities) {
  const std::vector<float> logits = {0.0f, std::log(3.0f)};  // 1/4 and 3/4
  EXPECT_EQ(pick_token(logits, 1, 0.0), 0);
  EXPECT_EQ(pick_token(logits, 1, 0.2499), 0);
  EXPECT_EQ(pick_token(logits, 1, 0.2501), 1);
  EXPECT_EQ(pick_token(logits, 1, 0.9999), 1);
}

TEST(PickToken, ALowTemperatureSharpensAndZeroTakesTheLikeliest) {
  const std::vector<float> logits = {0.0f, std::log(3.0f)};  // at 1/2: 1/10 and 9/10
  EXPECT_EQ(pick_token(logits, 0.5, 0.0999), 0);
  EXPECT_EQ(pick_token(logits, 0.5, 0.1001), 1);
  EXPECT_EQ(pick_token(logits, 0, 0.0), 1);
}

TEST(PickToken, NumbersThatAreNoneAreNeverPicked) {
  const std::vector<float> logits = {kNan, 1.0f, kNan};
  for (const double draw : {0.0, 0.5, 0.99}) {
    EXPECT_EQ(pick_token(logits, 1, draw), 1);
  }
  const std::vector<float> none = {kNan, kNan};
  EXPECT_EQ(pick_token(none, 1, 0.5), 0);
}

TEST(GenerateText, SeesItsOwnTokensAndAtMostTheContext) {
  std::int64_t longest = 0;
  // A model that is certain of the byte after the last one.
  const auto successor = [&](const Array& tokens) {
    longest = std::max(longest, tokens.size(1));
    Array logits = Array::full({300}, -1e9);
    const std::int64_t last = tokens.span<std::int64_t>()[static_cast<std::size_t>(tokens.size(1) - 1)];
    logits.data<float>()[last + 1] = 0;
    return logits;
  };
  EXPECT_EQ(generate_text(successor, {.length = 5, .context = 3, .prompt = "ab"}), "cdefg");
  EXPECT_EQ(longest, 3);
}

TEST(GenerateText, TheSameSeedGivesTheSameTextAndOnlyBytes) {
  const auto flat = [](const Array&) { return Array::zeros({50000}); };
  const std::string text = generate_text(flat, {.length = 100, .seed = 3});
  EXPECT_EQ(text.size(), 100u);
  EXPECT_EQ(text, generate_text(flat, {.length = 100, .seed = 3}));
  EXPECT_NE(text, generate_text(flat, {.length = 100, .seed = 4}));
}

TEST(GenerateText, AnEmptyPromptIsAnError) {
  const auto flat = [](const Array&) { return Array::zeros({256}); };
  EXPECT_THROW(generate_text(flat, {.prompt = ""}), Error);
}

TEST(Printable, TerminalsGetNoControlBytes) { EXPECT_EQ(printable("a\x1b\n\t\xff~"), "a?\n\t?~"); }

}  // namespace
}  // namespace trireme::training
