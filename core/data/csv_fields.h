// Cutting delimited text into lines and fields. For csv.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::data {

class CsvFields {
 public:
  // `text` must outlive this.
  CsvFields(std::string file, std::string_view text, char delimiter)
      : file_(std::move(file)), text_(text), delimiter_(delimiter) {}

  // Reads the next line that is not empty into fields(); false at the end. Raises Error for an open quote.
  bool next();
  const std::vector<std::string>& fields() const { return fields_; }
  std::int64_t line() const { return line_; }  // of fields(), from 1
  const std::string& file() const { return file_; }

 private:
  std::string_view take_line();
  std::size_t take_field(std::string_view line, std::size_t at);

  std::string file_;
  std::string_view text_;
  char delimiter_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0;
  std::vector<std::string> fields_;
};

}  // namespace trireme::data
