// Tables for recommenders: CSV and TSV files, whole and broken, and drawn clicks.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/core/data/files.h"
#include "tests/support/temp_dir.h"
#include "trireme/core/data/clicks.h"
#include "trireme/core/data/csv.h"

namespace trireme::data {
namespace {

Batch all_of(const Dataset& dataset) {
  std::vector<std::int64_t> items;
  for (std::int64_t i = 0; i < dataset.count(); ++i) {
    items.push_back(i);
  }
  Batch batch;
  dataset.fetch(items, batch);
  return batch;
}

TEST(Csv, ChoosesColumnsByNameAndHashesCategories) {
  const test::TempDir dir;
  const std::string path =
      write_file(dir / "a.csv", "city,click,price,age\nRome,1,2.5,30\r\n\"Paris, F\",0,,4e1\n\nRome,1,-1,5");
  const Csv csv(path, {.label = "click", .dense = {"age", "price"}, .categories = {"city"}, .rows = 1000});
  const Batch batch = all_of(csv);
  EXPECT_EQ(batch.labels.to_vector<float>(), (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(batch.inputs.to_vector<float>(), (std::vector<float>{30, 2.5, 40, 0, 5, -1}));
  const std::vector<std::int64_t> city = batch.categories.to_vector<std::int64_t>();
  EXPECT_EQ(city[0], city[2]);
  EXPECT_NE(city[0], city[1]);
  EXPECT_GE(city[1], 0);
  EXPECT_LT(city[1], 1000);
}

TEST(Csv, TheSameTextInAnotherColumnIsAnotherRow) {
  const test::TempDir dir;
  const Csv csv(write_file(dir / "a.csv", "0,x,x\n"),
                {.header = false, .label = "0", .categories = {"1", "2"}, .rows = 1 << 20});
  const std::vector<std::int64_t> rows = all_of(csv).categories.to_vector<std::int64_t>();
  EXPECT_NE(rows[0], rows[1]);
}

TEST(Csv, ReadsTheCriteoFormat) {
  const test::TempDir dir;
  std::string line = "1";
  for (int i = 0; i < 13; ++i) {
    line += i == 2 ? "\t" : fmt::format("\t{}", i - 1);
  }
  for (int i = 0; i < 26; ++i) {
    line += i == 5 ? "\t" : "\t68fd1e64";
  }
  const Batch batch = all_of(Csv(write_file(dir / "day_0", line + "\n" + line + "\n"), CsvOptions::criteo(500)));
  EXPECT_EQ(batch.inputs.shape(), (Shape{2, 13}));
  EXPECT_EQ(batch.categories.shape(), (Shape{2, 26}));
  EXPECT_EQ(batch.inputs.to_vector<float>()[0], 0.0f);  // -1 counts as 0
  EXPECT_FLOAT_EQ(batch.inputs.to_vector<float>()[3], std::log1p(2.0f));
}

TEST(Csv, QuotesHideDelimitersAndDoubledQuotes) {
  const test::TempDir dir;
  const Csv quoted(write_file(dir / "a", "y;\"a;\"\"b\"\"\"\n3;\"x\"\n"),
                   {.delimiter = ';', .label = "y", .categories = {"a;\"b\""}});
  EXPECT_EQ(quoted.count(), 1);
}

TEST(Csv, BrokenTablesAreErrorsThatNameTheLine) {
  const test::TempDir dir;
  const auto open = [&](const std::string& text, const CsvOptions& options) {
    return [&dir, text, options] { Csv(write_file(dir / "t.csv", text), options); };
  };
  const CsvOptions options{.label = "y", .dense = {"x"}};
  expect_error([&] { Csv(dir / "absent", options); }, {"does not exist"});
  expect_error(open("", options), {"is empty"});
  expect_error(open("y,x\n", options), {"no rows"});
  expect_error(open("y,z\n1,2\n", options), {"no column 'x'"});
  expect_error(open("y,x\n1,2\n1\n", options), {"line 3", "1 fields found, 2 expected"});
  expect_error(open("y,x\n1,2\n1,abc\n", options), {"line 3", "column 1", "'abc'", "a number expected"});
  expect_error(open("y,x\n1,\"2\n", options), {"line 2", "quote"});
  expect_error(open("y,x\n1,\"2\"3\n", options), {"line 2", "closing quote"});
}

TEST(Clicks, ItemsAreFunctionsOfSeedAndNumberAlone) {
  const Clicks clicks({.count = 1000, .rows = 800, .seed = 3});
  Batch a, b;
  clicks.fetch(std::vector<std::int64_t>{5, 900}, a);
  clicks.fetch(std::vector<std::int64_t>{900, 7, 5}, b);
  EXPECT_EQ(a.categories.select(0, 1).to_vector<int>(), b.categories.select(0, 0).to_vector<int>());
  EXPECT_EQ(a.inputs.select(0, 0).to_vector<float>(), b.inputs.select(0, 2).to_vector<float>());
  EXPECT_NE(a.inputs.select(0, 0).to_vector<float>(), b.inputs.select(0, 1).to_vector<float>());
}

TEST(Clicks, PopularityFollowsThePowerLawAndColumnsKeepToTheirRows) {
  const Clicks clicks({.count = 20'000, .rows = 4000, .categories = 2, .exponent = 1.5});
  const std::vector<std::int64_t> rows = all_of(clicks).categories.to_vector<std::int64_t>();
  std::vector<int> hits(4000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i] / 2000, static_cast<std::int64_t>(i % 2));
    ++hits[static_cast<std::size_t>(rows[i])];
  }
  // The k-th most popular row, which lies at k times a prime, covers [k + 1, k + 2) of the density x^-1.5: its share is
  // proportional to (k + 1)^-0.5 - (k + 2)^-0.5.
  const auto share = [](double k) { return 1 / std::sqrt(k + 1) - 1 / std::sqrt(k + 2); };
  const double total = 1 - 1 / std::sqrt(2001.0);
  for (const std::size_t k : {0, 1, 4, 9}) {
    EXPECT_NEAR(hits[k * 2'654'435'761 % 2000] / 20'000.0, share(static_cast<double>(k)) / total, 0.012) << k;
  }
}

TEST(Clicks, LabelsFollowTheHiddenModel) {
  const Clicks clicks({.count = 20'000, .rows = 80});
  const Batch batch = all_of(clicks);
  const std::vector<float> inputs = batch.inputs.to_vector<float>(), labels = batch.labels.to_vector<float>();
  double high = 0, low = 0, highs = 0, lows = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {  // the first dense column raises the rate
    (inputs[4 * i] > 0 ? high : low) += labels[i];
    (inputs[4 * i] > 0 ? highs : lows) += 1;
  }
  EXPECT_GT(high / highs, low / lows + 0.05);
  EXPECT_THROW(Clicks({.rows = 3}), Error);
  EXPECT_THROW(Clicks({.exponent = 1}), Error);
}

}  // namespace
}  // namespace trireme::data
