#include "trireme/training/generate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/base/step_context.h"

namespace trireme::training {

std::int64_t pick_token(std::span<const float> logits, double temperature, double draw) {
  std::int64_t best = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i]) && (best < 0 || logits[i] > logits[static_cast<std::size_t>(best)])) {
      best = static_cast<std::int64_t>(i);
    }
  }
  if (best < 0 || temperature <= 0) {
    return std::max<std::int64_t>(best, 0);
  }
  const double largest = logits[static_cast<std::size_t>(best)];
  const auto weight = [&](float logit) {
    return std::isnan(logit) ? 0.0 : std::exp((static_cast<double>(logit) - largest) / temperature);
  };
  double total = 0;
  for (const float logit : logits) {
    total += weight(logit);
  }
  double left = draw * total;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    left -= weight(logits[i]);
    if (left < 0) {
      return static_cast<std::int64_t>(i);
    }
  }
  return best;  // rounding used up the draw
}

std::string generate_text(const std::function<Array(const Array& tokens)>& next_logits,
                          const GenerateOptions& options) {
  require_usage(!options.prompt.empty(), "generate_text: the prompt is empty; give at least one byte");
  const NoGrad no_grad;
  const RandomStream random(options.seed, "generated text");
  std::vector<std::int64_t> tokens;
  for (const char letter : options.prompt) {
    tokens.push_back(static_cast<unsigned char>(letter));
  }
  std::string text;
  for (std::int64_t i = 0; i < options.length; ++i) {
    const auto seen = std::min<std::int64_t>(static_cast<std::int64_t>(tokens.size()), options.context);
    const std::span<const std::int64_t> window(tokens.data() + tokens.size() - seen, static_cast<std::size_t>(seen));
    const Array logits = next_logits(Array::from(window, {1, seen}));
    const std::span<const float> bytes =
        logits.span<float>().first(std::min<std::size_t>(256, logits.span<float>().size()));
    tokens.push_back(pick_token(bytes, options.temperature, random.uniform(static_cast<std::uint64_t>(i))));
    text.push_back(static_cast<char>(static_cast<unsigned char>(tokens.back())));
  }
  return text;
}

std::string printable(const std::string& text) {
  std::string shown = text;
  for (char& letter : shown) {
    const bool fine = (letter >= ' ' && letter <= '~') || letter == '\n' || letter == '\t';
    letter = fine ? letter : '?';
  }
  return shown;
}

}  // namespace trireme::training
