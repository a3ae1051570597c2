// Tables as text (CSV, TSV) for recommenders: a label, numbers, and categories that are hashed into rows of a table.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trireme/core/data/dataset.h"

namespace trireme::data {

struct CsvOptions {
  char delimiter = ',';
  bool header = true;                   // the first line names the columns; without it their names are "0", "1", ...
  std::string label = {};               // the column that is predicted
  std::vector<std::string> dense = {};  // number columns; an empty field is 0
  std::vector<std::string> categories = {};  // text columns; field text x of column c becomes hash(c, x) mod rows
  std::int64_t rows = 1 << 20;
  bool click_labels = false;  // a label other than 0 and 1 is an error
  bool log_dense = false;     // dense values x become log(1 + max(x, 0))

  // The Criteo click logs: tabs, no header, label, 13 counts, 26 categories.
  static CsvOptions criteo(std::int64_t rows);
};

// Batches: inputs f32 [items, dense columns], categories i64 [items, category columns], labels f32 [items].
class Csv final : public Dataset {
 public:
  // Reads the files (of a directory all, in the order of their paths), which have the same columns, behind each other.
  // Fields may stand in double quotes ("" is a quote); lines end with LF or CRLF. Raises Error, naming file, line and
  // column, for an absent or empty file, unknown columns, a line with another number of fields, a field that should be
  // a number, or a label that is missing.
  Csv(const std::vector<std::filesystem::path>& paths, const CsvOptions& options);
  Csv(const std::filesystem::path& path, const CsvOptions& options) : Csv(std::vector{path}, options) {}

  std::int64_t count() const override { return labels_.count(); }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override;

 private:
  Array dense_;       // f32 [count, dense columns]
  Array categories_;  // i64 [count, category columns]
  Array labels_;      // f32 [count]
};

}  // namespace trireme::data
