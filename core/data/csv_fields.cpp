#include "trireme/core/data/csv_fields.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::data {

std::string_view CsvFields::take_line() {
  const std::size_t end = std::min(text_.find('\n', at_), text_.size());
  std::string_view line = text_.substr(at_, end - at_);
  at_ = end + 1;
  ++line_;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

// Appends the field that begins at `at`; returns where the next one begins, line.size() + 1 after the last.
std::size_t CsvFields::take_field(std::string_view line, std::size_t at) {
  if (at >= line.size() || line[at] != '"') {
    const std::size_t end = std::min(line.find(delimiter_, at), line.size());
    fields_.emplace_back(line.substr(at, end - at));
    return end + 1;
  }
  std::string field;
  for (++at;; ++at) {
    require(at < line.size(), "table {}, line {}: a quote is opened but not closed", file_, line_);
    if (line[at] != '"') {
      field += line[at];
    } else if (at + 1 < line.size() && line[at + 1] == '"') {
      field += line[at++];
    } else {
      break;
    }
  }
  require(at + 1 == line.size() || line[at + 1] == delimiter_,
          "table {}, line {}: text follows a closing quote; the delimiter '{}' expected", file_, line_, delimiter_);
  fields_.push_back(std::move(field));
  return at + 2;
}

bool CsvFields::next() {
  while (at_ < text_.size()) {
    const std::string_view line = take_line();
    if (line.empty()) {
      continue;
    }
    fields_.clear();
    for (std::size_t at = 0; at <= line.size();) {
      at = take_field(line, at);
    }
    return true;
  }
  return false;
}

}  // namespace trireme::data
