// How --help looks. For option_parser.cpp, which owns CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace trireme::training {

// CLI11's help with defaults in parentheses, wrapped lines, and no blank line more than needed.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kColumn); }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    return CLI::Formatter::make_usage(app, std::move(name)) + "\n";
  }
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override {
    return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options)).substr(1);  // a blank line
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_expected_max() == 0) {
      return "";  // a flag
    }
    const std::string value = option->get_default_str();
    return " " + option->get_type_name() + (value.empty() ? "" : " (" + value + ")");
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    for (std::size_t begin = 0; text.size() - begin > kWidth;) {
      const std::size_t space = text.rfind(' ', begin + kWidth);
      if (space == std::string::npos || space <= begin) {
        break;
      }
      text[space] = '\n';
      begin = space + 1;
    }
    return text;
  }

 private:
  static constexpr std::size_t kColumn = 36;
  static constexpr std::size_t kWidth = 100 - kColumn;
};

}  // namespace trireme::training
