#include "trireme/comm/hierarchical/error_text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>
#include <optional>

#include "trireme/comm/hierarchical/scanner.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr std::size_t kTagCapacity = 94;
constexpr std::size_t kHashText = 10;  // " ~1b2c3d4e"

std::string_view view(const fmt::memory_buffer& text) { return {text.data(), text.size()}; }

// "1" as the whole's rank; a number that is no rank of the part stays.
std::string rank_in_whole(std::string_view digits, std::span<const int> ranks) {
  std::size_t rank = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  return read.ec == std::errc() && rank < ranks.size() ? std::to_string(ranks[rank]) : std::string(digits);
}

// " 0, 2 and 3" after "ranks".
std::string take_ranks(Scanner& scanner, std::span<const int> ranks) {
  std::string out;
  for (Scanner ahead = scanner;; scanner = ahead) {
    const char* start = ahead.rest().data();
    if (!(out.empty() ? ahead.take(" ") : ahead.take(", ") || ahead.take(" and "))) {
      return out;
    }
    const std::string_view separator(start, static_cast<std::size_t>(ahead.rest().data() - start));
    const std::string_view digits = ahead.take_while(is_digit);
    if (digits.empty()) {
      return out;
    }
    out.append(separator).append(rank_in_whole(digits, ranks));
  }
}

// "rank 1", "ranks 0, 2 and 3": every number becomes the whole's.
std::string with_ranks(std::string_view text, std::span<const int> ranks) {
  std::string out;
  for (Scanner scanner(text); !scanner.done();) {
    const std::string_view word = scanner.take_while(is_word);
    out += word;
    if (word == "rank" || word == "ranks") {
      out += take_ranks(scanner, ranks);
    }
    out += scanner.take_while([](char c) { return !is_word(c); });
  }
  return out;
}

// Where ` ~1b2c3d4e"`, the end of a tag, begins; npos without one.
std::size_t end_of_tag(std::string_view text) {
  for (std::size_t at = text.find(" ~"); at != std::string_view::npos; at = text.find(" ~", at + 1)) {
    Scanner scanner(text.substr(at + 2));
    if (scanner.take_while(is_lower_or_digit).size() == kHashText - 2 && scanner.take("\"")) {
      return at;
    }
  }
  return std::string_view::npos;
}

// `reduce_scatter #31 "SERVED ~1b2c3d4e" f32 x 100 (sum)` of a part: SERVED, the operation of the whole.
std::optional<std::string_view> take_part_operation(Scanner& scanner) {
  Scanner ahead = scanner;
  if (ahead.take_while(is_word).empty() || !ahead.take(" #") || ahead.take_while(is_digit).empty() ||
      !ahead.take(" \"")) {
    return std::nullopt;
  }
  const std::size_t end = end_of_tag(ahead.rest());
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view served = ahead.take(end);
  ahead.take(kHashText + 1);
  scanner = ahead;
  if (ahead.take(" ") && !ahead.take_while(is_lower_or_digit).empty() && ahead.take(" x ") &&
      !ahead.take_while(is_digit).empty()) {
    scanner = ahead;
  }
  ahead = scanner;
  if (ahead.take(" (")) {
    ahead.take_while([](char c) { return c != ')'; });
    scanner = ahead.take(")") ? ahead : scanner;
  }
  return served;
}

// Part operations give way to the operation they serve, ranks to the whole's ranks.
std::string in_words_of_whole(std::string_view text, std::span<const int> ranks) {
  std::string out;
  std::size_t translated = 0;
  for (Scanner scanner(text); !scanner.done();) {
    const std::size_t at = text.size() - scanner.rest().size();
    if (const auto served = take_part_operation(scanner)) {
      out.append(with_ranks(text.substr(translated, at - translated), ranks)).append(*served);
      translated = text.size() - scanner.rest().size();
    } else if (scanner.take_while(is_word).empty()) {
      scanner.take(1);
    }
  }
  return out + with_ranks(text.substr(translated), ranks);
}

// ": ~3,5~CAUSE~" from relay(); what an engine adds to a reason it passes on stays outside.
std::optional<Failure> relayed(std::string_view cause) {
  static constexpr std::string_view kMark = ": ~";
  for (std::size_t at = cause.find(kMark); at != std::string_view::npos; at = cause.find(kMark, at + 1)) {
    Scanner scanner(cause.substr(at + kMark.size()));
    Failure failure;
    for (bool more = true; more; more = scanner.take(",")) {
      const std::string_view digits = scanner.take_while(is_digit);
      int rank = 0;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), rank).ec == std::errc()) {
        failure.ranks.push_back(rank);
      }
    }
    if (scanner.take("~")) {
      failure.cause = scanner.rest().substr(0, scanner.rest().rfind('~'));
      return failure;
    }
  }
  return std::nullopt;
}

// "the deadline of 17 ms" of a part operation, for that of the whole.
std::string with_deadline(std::string_view text, std::chrono::milliseconds timeout) {
  static constexpr std::string_view kDeadline = "the deadline of ";
  std::string out;
  for (Scanner scanner(text);;) {
    out += scanner.take(scanner.rest().find(kDeadline));
    if (!scanner.take(kDeadline)) {
      return out;
    }
    Scanner ahead = scanner;
    if (!ahead.take_while(is_digit).empty() && ahead.take(" ms")) {
      scanner = ahead;
      out += fmt::format("{}{} ms", kDeadline, timeout.count());
    } else {
      out += kDeadline;
    }
  }
}

// Leaves out "; the last operation of rank 1 is ..." and "; rank 1 has started nothing", up to the next ';'.
std::string without_places(std::string_view text) {
  std::string out;
  for (Scanner scanner(text); !scanner.done();) {
    Scanner ahead = scanner;
    const std::string_view clause = ahead.take(scanner.rest().find(';', 1));
    const bool last = clause.starts_with("; the last operation of rank ");
    const bool nothing = clause.starts_with("; rank ") && clause.find(" has started nothing") != clause.npos;
    out += last || nothing ? std::string_view() : clause;
    scanner = ahead;
  }
  return out;
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
  Failure failure{in_words_of_whole(with_deadline(without_places(details.cause), timeout), ranks), {}};
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
