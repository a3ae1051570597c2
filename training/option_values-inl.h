// What the values of options may be. For option_parser.cpp, which owns CLI11.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <vector>

namespace trireme::training {

// The same option twice: the last one counts, so that a script's defaults can be overridden at its end.
inline CLI::Option* scalar(CLI::Option* option) { return option->capture_default_str()->take_last(); }

// CLI11's own conversion turns numbers that are too large into the largest; this does not.
template <class Number>
CLI::Validator at_least(Number least) {
  return CLI::Validator(
      [least](std::string& text) {
        Number value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size()) {
          return fmt::format("'{}' given, a whole number expected", text);
        }
        return value >= least ? std::string() : fmt::format("{} given, at least {} expected", value, least);
      },
      "");
}

inline CLI::Validator real_at_least(double least) {
  return CLI::Validator(
      [least](std::string& text) {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value)) {
          return fmt::format("'{}' given, a number expected", text);
        }
        return value >= least && value <= std::numeric_limits<double>::max()
                   ? std::string()
                   : fmt::format("{} given, a finite number of at least {} expected", value, least);
      },
      "");
}

// One word out of a few. Shown in --help as a|b|c.
inline CLI::Option* choice(CLI::Option* option, const std::vector<std::string>& words) {
  const std::string list = fmt::format("{}", fmt::join(words, "|"));
  return option->type_name(list)->check(CLI::Validator(
      [words, list](std::string& text) {
        return std::find(words.begin(), words.end(), text) != words.end()
                   ? std::string()
                   : fmt::format("'{}' given, {} expected", text, list);
      },
      ""));
}

}  // namespace trireme::training
