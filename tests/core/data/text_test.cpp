// Text and token files: windows as documented, path order, and broken files.
#include "trireme/core/data/text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "tests/core/data/files.h"
#include "tests/support/temp_dir.h"
#include "trireme/core/data/tokens.h"

namespace trireme::data {
namespace {

std::string window(const Dataset& dataset, std::int64_t item, bool labels = false) {
  Batch batch;
  dataset.fetch(std::vector<std::int64_t>{item}, batch);
  const std::vector<int> values = (labels ? batch.labels : batch.inputs).to_vector<int>();
  return {values.begin(), values.end()};
}

using Paths = std::vector<std::filesystem::path>;

TEST(ByteText, WindowsFollowEachOtherAndTargetsAreShiftedByOne) {
  const test::TempDir dir;
  const ByteText text(Paths{write_file(dir / "a", "abcdefgh"), write_file(dir / "b", "ijk")}, 5);
  EXPECT_EQ(text.bytes(), 11);
  EXPECT_EQ(text.count(), 2);
  EXPECT_EQ(window(text, 0), "abcde");
  EXPECT_EQ(window(text, 0, true), "bcdef");
  EXPECT_EQ(window(text, 1), "fghij");
  EXPECT_EQ(window(text, 1, true), "ghijk");
}

TEST(ByteText, TheLastByteIsOnlyATarget) {
  const test::TempDir dir;
  EXPECT_EQ(ByteText(Paths{write_file(dir / "a", "abcdefghij")}, 5).count(), 1);  // (10 - 1) / 5
  EXPECT_EQ(ByteText(Paths{write_file(dir / "b", "abcdef")}, 5).count(), 1);
}

TEST(ByteText, DirectoriesAreReadInSortedPathOrder) {
  const test::TempDir dir;
  std::filesystem::create_directories(dir.path() / "text/b");
  write_file(dir / "text/c", "3");
  write_file(dir / "text/b/z", "2");
  write_file(dir / "text/a", "1");
  write_file(dir / "text/b.txt", "0");  // '.' sorts before '/'
  EXPECT_EQ(window(ByteText(Paths{dir.path() / "text"}, 3), 0), "102");
}

TEST(ByteText, BrokenInputsAreErrorsThatSayWhatWasExpected) {
  const test::TempDir dir;
  expect_error([&] { ByteText(Paths{dir / "absent"}, 4); }, {"absent", "does not exist"});
  expect_error([&] { ByteText(Paths{write_file(dir / "short", "abcd")}, 4); }, {"4 bytes", "at least 5"});
  expect_error([&] { ByteText(Paths{write_file(dir / "empty", "")}, 4); }, {"0 bytes"});
  expect_error([&] { ByteText(Paths{}, 4); }, {"no path"});
  expect_error([&] { ByteText(Paths{dir / "short"}, 0); }, {"context of 0"});
  std::filesystem::create_directories(dir.path() / "nothing");
  expect_error([&] { ByteText(Paths{dir.path() / "nothing"}, 4); }, {"no files"});
}

TEST(ByteText, TheCompilersHeadersAreMegabytesOfCpp) {
  const ByteText text = ByteText::cpp_headers(64);
  EXPECT_GT(text.bytes(), 1'000'000);
  const std::string all(text.text().begin(), text.text().end());
  EXPECT_NE(all.find("template"), std::string::npos);
}

template <class T>
std::string raw(const std::vector<T>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(T)};
}

TEST(TokenFile, ReadsWindowsOfBothWidths) {
  const test::TempDir dir;
  std::vector<std::uint16_t> narrow(12);
  std::iota(narrow.begin(), narrow.end(), 50'250);
  const std::vector<std::uint32_t> wide(narrow.begin(), narrow.end());
  for (const TokenFile& file : {TokenFile(write_file(dir / "16.bin", raw(narrow)), 4),
                                TokenFile(write_file(dir / "32.bin", raw(wide)), 4, TokenWidth::u32)}) {
    EXPECT_EQ(file.tokens(), 12);
    EXPECT_EQ(file.count(), 2);
    EXPECT_FALSE(file.in_memory());
    Batch batch;
    file.fetch(std::vector<std::int64_t>{1, 0}, batch);
    EXPECT_EQ(batch.inputs.dtype(), DType::i32);
    EXPECT_EQ(batch.inputs.to_vector<int>(),
              (std::vector<int>{50254, 50255, 50256, 50257, 50250, 50251, 50252, 50253}));
    EXPECT_EQ(batch.labels.to_vector<int>()[3], 50258);
  }
}

TEST(TokenFile, BrokenFilesAreErrorsThatSayWhatWasExpected) {
  const test::TempDir dir;
  expect_error([&] { TokenFile(dir / "absent", 4); }, {"does not exist"});
  expect_error([&] { TokenFile(write_file(dir / "odd", "12345"), 1); }, {"multiple of 2 bytes", "found 5"});
  expect_error([&] { TokenFile(write_file(dir / "short", "1234"), 2); }, {"2 tokens found", "at least 3"});
  const TokenFile large(write_file(dir / "large", raw(std::vector<std::uint32_t>{1, 0xFFFFFFFF, 2})), 2,
                        TokenWidth::u32);
  expect_error([&] { window(large, 0); }, {"4294967295", "below 2^31"});
  const TokenFile cut(write_file(dir / "cut", std::string(100, 'x')), 10);
  std::filesystem::resize_file(dir / "cut", 60);
  EXPECT_EQ(window(cut, 0).size(), 10u);
  expect_error([&] { window(cut, 3); }, {"ended at byte 60"});
}

}  // namespace
}  // namespace trireme::data
