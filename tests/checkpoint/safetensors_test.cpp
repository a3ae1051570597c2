// The safetensors format: bytes as published, and headers that nobody should believe.
#include "trireme/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/fault_filesystem.h"
#include "trireme/checkpoint/safetensors_file.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using testing::HasSubstr;

std::string prefix(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>((length >> (8 * i)) & 0xff);
  }
  return bytes;
}

// What opening a file with exactly these bytes says.
std::string opened(const std::string& bytes) {
  test::FaultFileSystem files;
  write_file(files, "/f", std::as_bytes(std::span(bytes)));
  try {
    const SafetensorsFile file(files, "/f");
    return "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/f"));
    EXPECT_LT(std::string(error.what()).size(), 300u) << error.what();
    return error.what();
  }
}

std::string with_json(const std::string& json, std::size_t data_bytes = 0) {
  return opened(prefix(json.size()) + json + std::string(data_bytes, 'x'));
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, AnEmptyFileHasThePublishedBytes) {
  const PlannedFile plan = plan_safetensors({}, {}, 8);
  EXPECT_EQ(plan.header, prefix(8) + "{}      ");
  EXPECT_EQ(opened(plan.header), "no error");
}

TEST(Safetensors, AFileIsPlannedByElementSizeThenNameAndAligned) {
  const std::vector<TensorToWrite> tensors = {
      {"b", DType::f32, {2, 3}}, {"a", DType::f32, {}}, {"c", DType::f64, {1}}, {"d", DType::boolean, {3}}};
  const PlannedFile plan = plan_safetensors(tensors, {{"format", "pt"}}, 64);
  EXPECT_EQ(plan.header.size() % 64, 0u);
  const std::uint64_t start = plan.header.size();
  EXPECT_EQ(plan.begins, (std::vector<std::uint64_t>{start + 12, start + 8, start, start + 36}));
  EXPECT_EQ(plan.file_bytes, start + 39);
  const auto json = nlohmann::json::parse(plan.header.substr(8));  // a second opinion on the text
  EXPECT_EQ(json["__metadata__"]["format"], "pt");
  EXPECT_EQ(json["b"]["dtype"], "F32");
  EXPECT_EQ(json["b"]["shape"], (std::vector<int>{2, 3}));
  EXPECT_EQ(json["b"]["data_offsets"], (std::vector<int>{12, 36}));
  EXPECT_EQ(json["a"]["shape"], nlohmann::json::array());
  const SafetensorsHeader header = parse_safetensors_header(plan.header.substr(8), plan.file_bytes, "f");
  EXPECT_EQ(header.find("b")->begin, 12u);
  EXPECT_EQ(header.find("d")->dtype, DType::boolean);
  EXPECT_EQ(header.find("nobody"), nullptr);
  EXPECT_EQ(header.data_begin, start);
}

TEST(Safetensors, NamesThatCannotBeStoredAreRefused) {
  const auto plan = [](std::vector<TensorToWrite> tensors) { plan_safetensors(tensors, {}, 8); };
  EXPECT_THROW(plan({{"a", DType::f32, {1}}, {"a", DType::f32, {1}}}), Error);
  EXPECT_THROW(plan({{"", DType::f32, {1}}}), Error);
  EXPECT_THROW(plan({{"__metadata__", DType::f32, {1}}}), Error);
  EXPECT_THROW(plan({{std::string("a\0b", 3), DType::f32, {1}}}), Error);
  EXPECT_THROW(plan({{"\xff\xfe", DType::f32, {1}}}), Error);
  plan({{"quote \" backslash \\ umlaut \xc3\xa4", DType::f32, {1}}});
}

TEST(Safetensors, ImpossibleLengthsAreRefusedBeforeAnythingIsAllocated) {
  EXPECT_THAT(opened(""), HasSubstr("has 0 bytes"));
  EXPECT_THAT(opened("1234567"), HasSubstr("has 7 bytes"));
  EXPECT_THAT(opened(prefix(~std::uint64_t{0}) + "{}"), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THAT(opened(prefix(std::uint64_t{1} << 63) + "{}"), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THAT(opened(prefix(100'000'001) + "{}"), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THAT(opened(prefix(100'000'000) + "{}"), HasSubstr("cut short"));
  EXPECT_THAT(opened(prefix(3) + "{}"), HasSubstr("cut short"));
  EXPECT_THAT(opened(prefix(0)), HasSubstr("does not begin with '{'"));
}

TEST(Safetensors, TextThatIsNoHeaderIsRefusedWithItsPlace) {
  EXPECT_THAT(with_json("[]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(with_json("{"), HasSubstr("no valid JSON at byte 2"));
  EXPECT_THAT(with_json("{}x"), HasSubstr("no valid JSON"));
  EXPECT_THAT(with_json("{\"t\":1}"), HasSubstr("a number where none belongs"));
  EXPECT_THAT(with_json("{\"t\":null}"), HasSubstr("null"));
  EXPECT_THAT(with_json("{\"t\":[]}"), HasSubstr("a list where none belongs"));
  EXPECT_THAT(with_json("{\"t\":{}}"), HasSubstr("without dtype, shape or data_offsets"));
  EXPECT_THAT(with_json("{\"__metadata__\":{\"a\":1}}"), HasSubstr("a number where none belongs"));
  EXPECT_THAT(with_json("{\"__metadata__\":{},\"__metadata__\":{}}"), HasSubstr("twice"));
  EXPECT_THAT(with_json(R"({"t\u0000x":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1),
              HasSubstr("control characters"));
  EXPECT_THAT(with_json("{\"\xff\":{}}"), HasSubstr("no valid JSON"));
}

TEST(Safetensors, DeepNestingIsRefusedAtOnce) {
  std::string deep = R"({"t":{"shape":)";
  deep += std::string(1'000'000, '[');
  EXPECT_THAT(with_json(deep), HasSubstr("a list where none belongs"));
  std::string objects = R"({"t":{"dtype":)";
  for (int i = 0; i < 100'000; ++i) {
    objects += R"({"dtype":)";
  }
  EXPECT_THAT(with_json(objects), HasSubstr("an object where none belongs"));
}

TEST(Safetensors, FieldsMustFitEachOther) {
  EXPECT_EQ(with_json(entry("F32", "[2,3]", "[0,24]"), 24), "no error");
  EXPECT_THAT(with_json(entry("F32", "[2,3]", "[0,20]"), 20), HasSubstr("do not fit its dtype and shape"));
  EXPECT_THAT(with_json(entry("F31", "[2,3]", "[0,24]"), 24), HasSubstr("dtype 'F31'"));
  EXPECT_THAT(with_json(entry("F32", "[-2,3]", "[0,24]"), 24), HasSubstr("a negative number"));
  EXPECT_THAT(with_json(entry("F32", "[2.5]", "[0,10]"), 10), HasSubstr("a fraction"));
  EXPECT_THAT(with_json(entry("F32", "[[2]]", "[0,8]"), 8), HasSubstr("a list where none belongs"));
  EXPECT_THAT(with_json(entry("F32", "[2]", "[8,0]"), 8), HasSubstr("do not fit"));
  EXPECT_THAT(with_json(entry("F32", "[2]", "[0]"), 8), HasSubstr("not two numbers"));
  EXPECT_THAT(with_json(entry("F32", "[2]", "[0,8,9]"), 8), HasSubstr("more than two"));
  EXPECT_THAT(with_json(entry("F32", "[2]", "[0,99999999999999999999]"), 8), HasSubstr("too large"));
  EXPECT_THAT(with_json(R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}})", 1),
              HasSubstr("unknown field"));
  EXPECT_THAT(with_json(R"({"t":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1), HasSubstr("twice"));
}

TEST(Safetensors, ShapesThatOverflowAreRefused) {
  EXPECT_THAT(with_json(entry("F32", "[4294967296,4294967296]", "[0,0]")), HasSubstr("do not fit"));
  EXPECT_THAT(with_json(entry("U8", "[9223372036854775807,2,4294967296]", "[0,0]")), HasSubstr("do not fit"));
  EXPECT_THAT(with_json(entry("U8", "[18446744073709551615]", "[0,18446744073709551615]")),
              HasSubstr("impossible shape"));
  EXPECT_THAT(with_json(entry("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1),
              HasSubstr("impossible shape"));
  EXPECT_EQ(with_json(entry("U8", "[9223372036854775807,0,4294967296]", "[0,0]")),
            "no error");  // empty, whatever the rest
}

TEST(Safetensors, DataMustBeFilledWithoutGapOrOverlap) {
  const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
    return with_json(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                     bytes);
  };
  EXPECT_EQ(two("[0,4]", "[4,8]", 8), "no error");
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "no error");
  EXPECT_THAT(two("[0,4]", "[0,4]", 8), HasSubstr("'b' begins at data byte 0, but the one before ends at 4"));
  EXPECT_THAT(two("[0,4]", "[5,9]", 9), HasSubstr("'b' begins at data byte 5"));
  EXPECT_THAT(two("[1,5]", "[5,9]", 9), HasSubstr("'a' begins at data byte 1"));
  EXPECT_THAT(two("[0,4]", "[4,8]", 7), HasSubstr("describes 8 bytes of data, the file has 7"));
  EXPECT_THAT(two("[0,4]", "[4,8]", 9), HasSubstr("describes 8 bytes of data, the file has 9"));
  EXPECT_THAT(with_json(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                        2),
              HasSubstr("two tensors are called 'a'"));
}

}  // namespace
}  // namespace trireme::checkpoint
