// What a test set says of a model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::training {

struct TestResult {
  struct Number {
    std::string_view name;  // a literal: as metrics call it
    double value = 0;
  };

  std::vector<Number> numbers;  // the first is the one that early stopping watches
  std::int64_t items = 0;
  std::string text;  // for people: "97.10 % of 2000 test examples are right"

  double watched() const { return numbers.at(0).value; }
};

}  // namespace trireme::training
