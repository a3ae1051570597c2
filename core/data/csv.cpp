#include "trireme/core/data/csv.h"

#include <xxhash.h>

#include <charconv>
#include <cmath>
#include <string_view>

#include "trireme/core/base/error.h"
#include "trireme/core/data/csv_fields.h"
#include "trireme/core/data/file_bytes.h"
#include "trireme/core/data/rows.h"

namespace trireme::data {
namespace {

// The column numbers of the options' names.
struct Columns {
  std::size_t label = 0;
  std::vector<std::size_t> dense;
  std::vector<std::size_t> categories;
};

std::size_t find_column(const std::vector<std::string>& names, const std::string& name, const std::string& file) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) {
      return i;
    }
  }
  fail("table {}: it has no column '{}'; its {} columns are '{}' to '{}'", file, name, names.size(), names.front(),
       names.back());
}

Columns find_columns(const std::vector<std::string>& names, const CsvOptions& options, const std::string& file) {
  Columns columns;
  columns.label = find_column(names, options.label, file);
  for (const std::string& name : options.dense) {
    columns.dense.push_back(find_column(names, name, file));
  }
  for (const std::string& name : options.categories) {
    columns.categories.push_back(find_column(names, name, file));
  }
  return columns;
}

float number(const std::string& text, const CsvFields& line, std::size_t column) {
  if (text.empty()) {
    return 0;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size(),
          "table {}, line {}, column {}: '{}' found, a number expected", line.file(), line.line(), column, text);
  return static_cast<float>(value);
}

float label(const std::string& text, const CsvFields& line, std::size_t column, bool click) {
  require(!text.empty(), "table {}, line {}, column {}: the label is missing, a number expected", line.file(),
          line.line(), column);
  const float value = number(text, line, column);
  require(!click || value == 0 || value == 1, "table {}, line {}, column {}: label '{}' found, 0 or 1 expected",
          line.file(), line.line(), column, text);
  return value;
}

std::int64_t category(const std::string& text, std::size_t column, std::int64_t rows) {
  const XXH64_hash_t hash = XXH3_64bits_withSeed(text.data(), text.size(), column);
  return static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(rows));
}

struct Table {
  std::vector<float> dense;
  std::vector<std::int64_t> categories;
  std::vector<float> labels;
};

void append_row(const CsvFields& line, const Columns& columns, const CsvOptions& options, Table& table) {
  const std::vector<std::string>& fields = line.fields();
  table.labels.push_back(label(fields[columns.label], line, columns.label, options.click_labels));
  for (const std::size_t column : columns.dense) {
    const float value = number(fields[column], line, column);
    table.dense.push_back(options.log_dense ? std::log1p(std::fmax(value, 0.0f)) : value);
  }
  for (const std::size_t column : columns.categories) {
    table.categories.push_back(category(fields[column], column, options.rows));
  }
}

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(fmt::format("{}", i));
  }
  return names;
}

void append_table(const std::filesystem::path& path, const CsvOptions& options, Table& table) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  CsvFields line(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, options.delimiter);
  require(line.next(), "table {}: it is empty", path.string());
  const std::size_t width = line.fields().size();
  const Columns columns = find_columns(options.header ? line.fields() : numbered(width), options, path.string());
  const std::size_t before = table.labels.size();
  for (bool more = options.header ? line.next() : true; more; more = line.next()) {
    require(line.fields().size() == width, "table {}, line {}: {} fields found, {} expected", path.string(),
            line.line(), line.fields().size(), width);
    append_row(line, columns, options, table);
  }
  require(table.labels.size() > before, "table {}: it has a header but no rows", path.string());
}

}  // namespace

CsvOptions CsvOptions::criteo(std::int64_t rows) {
  CsvOptions options{
      .delimiter = '\t', .header = false, .label = "0", .rows = rows, .click_labels = true, .log_dense = true};
  for (int column = 1; column <= 39; ++column) {
    (column <= 13 ? options.dense : options.categories).push_back(std::to_string(column));
  }
  return options;
}

Csv::Csv(const std::vector<std::filesystem::path>& paths, const CsvOptions& options) {
  require_usage(options.rows > 0, "data::Csv: {} rows given, a positive number expected", options.rows);
  require_usage(!paths.empty(), "data::Csv: no file given");
  Table table;
  for (const std::filesystem::path& path : paths) {
    for (const std::filesystem::path& file : files_of(path)) {
      append_table(file, options, table);
    }
  }
  const auto count = static_cast<std::int64_t>(table.labels.size());
  labels_ = Array::from(table.labels, {count});
  dense_ = Array::from(table.dense, {count, static_cast<std::int64_t>(options.dense.size())});
  categories_ = Array::from(table.categories, {count, static_cast<std::int64_t>(options.categories.size())});
}

void Csv::fetch(std::span<const std::int64_t> items, Batch& batch) const {
  batch.items = static_cast<std::int64_t>(items.size());
  gather_rows<float>(dense_, items, batch.inputs);
  gather_rows<std::int64_t>(categories_, items, batch.categories);
  gather_rows<float>(labels_, items, batch.labels);
}

}  // namespace trireme::data
