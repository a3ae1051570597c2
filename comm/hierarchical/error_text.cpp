#include "trireme/comm/hierarchical/error_text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <optional>
#include <regex>

#include "trireme/comm/operation_text.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr std::size_t kTagCapacity = 94;
constexpr std::size_t kHashText = 10;  // " ~1b2c3d4e"

std::string_view view(const fmt::memory_buffer& text) { return {text.data(), text.size()}; }

// "rank 1", "ranks 0, 2 and 3": every number becomes the whole's. A number that is no rank of the part stays.
std::string with_ranks(const std::string& text, std::span<const int> ranks) {
  static const std::regex list(R"(\branks? \d+(?:(?:, | and )\d+)*)");
  static const std::regex number(R"(\d+)");
  std::string out;
  auto copied = text.cbegin();
  for (std::sregex_iterator found(text.begin(), text.end(), list), end; found != end; ++found) {
    const auto stop = found->suffix().first;
    for (std::sregex_iterator digits(found->prefix().second, stop, number); digits != end; ++digits) {
      out.append(copied, digits->prefix().second);
      copied = digits->suffix().first;
      const std::string text_of_rank = digits->str();
      const unsigned long rank = text_of_rank.size() < 8 ? std::stoul(text_of_rank) : ranks.size();
      out += rank < ranks.size() ? std::to_string(ranks[rank]) : text_of_rank;
    }
  }
  return out.append(copied, text.cend());
}

// Part operations give way to the operation they serve, ranks to the whole's ranks.
std::string in_words_of_whole(const std::string& text, std::span<const int> ranks) {
  static const std::regex part_operation(
      R"re([a-z_]+ #\d+ "(.*?) ~[0-9a-f]{8}"(?: [a-z0-9]+ x \d+)?(?: \([^)]*\))?)re");
  std::string out;
  auto copied = text.cbegin();
  for (std::sregex_iterator found(text.begin(), text.end(), part_operation), end; found != end; ++found) {
    out += with_ranks(std::string(copied, found->prefix().second), ranks) + found->str(1);
    copied = found->suffix().first;
  }
  return out + with_ranks(std::string(copied, text.cend()), ranks);
}

// ": ~3,5~CAUSE~" from relay(); what an engine adds to a reason it passes on stays outside.
std::optional<Failure> relayed(const std::string& cause) {
  static const std::regex pattern(R"(: ~([0-9,]*)~([\s\S]*?)(?:~[^~]*)?$)");
  static const std::regex number(R"(\d+)");
  std::smatch found;
  if (!std::regex_search(cause, found, pattern)) {
    return std::nullopt;
  }
  Failure failure{found.str(2), {}};
  const std::string ranks = found.str(1);
  for (std::sregex_iterator rank(ranks.begin(), ranks.end(), number), end; rank != end; ++rank) {
    failure.ranks.push_back(std::stoi(rank->str()));
  }
  return failure;
}

}  // namespace

OpName tag_of(const Operation& operation) {
  const Signature signature = signature_of(operation);
  fmt::memory_buffer text;
  append_description(text, signature, operation.sequence, operation.name.view());
  const auto hash = static_cast<std::uint32_t>(XXH3_64bits(text.data(), text.size()));
  if (text.size() + kHashText > kTagCapacity) {  // a shorter name, so that what follows it stays
    fmt::memory_buffer bare;
    append_description(bare, signature, operation.sequence, "");
    const std::size_t taken = bare.size() + kHashText + 3;
    const std::string_view name = operation.name.view().substr(0, taken < kTagCapacity ? kTagCapacity - taken : 0);
    text.clear();
    append_description(text, signature, operation.sequence, name);
    text.resize(std::min(text.size(), kTagCapacity - kHashText));
  }
  fmt::format_to(std::back_inserter(text), " ~{:08x}", hash);
  return OpName(view(text));
}

Failure translate(const CommError::Details& details, std::span<const int> ranks, std::chrono::milliseconds timeout) {
  if (auto failure = relayed(details.cause)) {
    return *failure;
  }
  static const std::regex deadline(R"(the deadline of \d+ ms)");
  static const std::regex place(R"(; (?:the last operation of rank \d+ is [^;]*|rank \d+ has started nothing))");
  const std::string cause =
      std::regex_replace(details.cause, deadline, fmt::format("the deadline of {} ms", timeout.count()));
  Failure failure{in_words_of_whole(std::regex_replace(cause, place, ""), ranks), {}};
  for (const int rank : details.ranks) {
    if (rank >= 0 && static_cast<std::size_t>(rank) < ranks.size()) {
      failure.ranks.push_back(ranks[static_cast<std::size_t>(rank)]);
    }
  }
  return failure;
}

std::string relay(const Failure& failure) {
  return fmt::format("~{}~{}~", fmt::join(failure.ranks, ","), failure.cause);
}

}  // namespace trireme::comm::hierarchical
