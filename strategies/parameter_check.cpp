#include "trireme/strategies/parameter_check.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

namespace trireme::strategies {
namespace {

std::vector<std::string> lines_of(const std::vector<nn::NamedParameter>& parameters) {
  std::vector<std::string> lines;
  for (const nn::NamedParameter& parameter : parameters) {
    lines.push_back(parameter.name + " " + describe(parameter.tensor.array()));
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

// Rank 0's text on every rank.
std::string broadcast_text(comm::Communicator& communicator, const std::string& mine) {
  Array length = Array::full({1}, static_cast<double>(mine.size()), DType::i64);
  communicator.broadcast(length, 0, {.name = "parameter list length"}).wait();
  Array text = Array::empty({*length.data<std::int64_t>()}, DType::u8);
  if (communicator.rank() == 0) {
    std::memcpy(text.bytes_data(), mine.data(), mine.size());
  }
  communicator.broadcast(text, 0, {.name = "parameter list"}).wait();
  return {reinterpret_cast<const char*>(text.bytes_data()), text.bytes()};
}

std::string line_at(const std::string& text, std::int64_t index) {
  std::size_t begin = 0;
  for (std::int64_t i = 0; i < index && begin < text.size(); ++i) {
    begin = text.find('\n', begin) + 1;
  }
  return begin >= text.size() ? "nothing" : text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

void require_same_parameters(comm::Communicator& communicator, const std::vector<nn::NamedParameter>& parameters) {
  const std::string mine = joined(lines_of(parameters));
  const std::string first = broadcast_text(communicator, mine);
  constexpr std::int64_t kSame = std::numeric_limits<std::int64_t>::max();
  std::int64_t differs = kSame;
  if (mine != first) {
    differs = 0;
    while (line_at(mine, differs) == line_at(first, differs)) {
      ++differs;
    }
  }
  Array verdict = Array::empty({1}, DType::i64);
  *verdict.data<std::int64_t>() = differs;
  communicator.all_reduce(verdict, comm::ReduceOp::min, {.name = "parameter lists compared"}).wait();
  const std::int64_t worst = *verdict.data<std::int64_t>();
  require(
      worst == kSame,
      "prepare: ranks have different models; parameter {} is '{}' on rank 0 and '{}' on rank {}; build the same model "
      "on every rank",
      worst, line_at(first, worst), differs == worst ? line_at(mine, worst) : "something else",
      differs == worst ? std::to_string(communicator.rank()) : "another rank");
}

}  // namespace trireme::strategies
