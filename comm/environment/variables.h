// The environment variables of a process as a value, so that everything that reads them can be tested without setting
// any. A variable with an empty value counts as not set.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace trireme::comm {

class Variables {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  explicit Variables(Map values) : values_(std::move(values)) {}
  static Variables of_process();

  bool has(std::string_view name) const { return !text(name).empty(); }
  // Empty if it is not set.
  std::string text(std::string_view name) const;
  // The first of several names that is set.
  std::string first_text(std::initializer_list<std::string_view> names) const;
  // Raises Error naming the variable unless it is a whole number in this range.
  int number(std::string_view name, int least, int most) const;
  int number_or(std::string_view name, int least, int most, int otherwise) const;

  // A copy in which these have these values.
  Variables with(std::initializer_list<Map::value_type> values) const;

  bool has_any(std::initializer_list<std::string_view> names) const;
  // "A, C": those that are not set. Empty: all are.
  std::string missing(std::initializer_list<std::string_view> names) const;

 private:
  Map values_;
};

}  // namespace trireme::comm
