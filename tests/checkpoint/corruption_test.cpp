// Damage: every flipped bit, every truncation and thousands of random changes of a checkpoint are noticed before use,
// and the checkpoint before is taken instead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/sanitizers.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/sharding_info.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;
using testing::HasSubstr;

class Corruption : public testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::off);
    save_all(files_, clock_, "/c", 1, 2);
    save_all(files_, clock_, "/c", 2, 2);
    for (const std::string& name : files_.list(newest_)) {
      paths_.push_back(join_path(newest_, name));
    }
    ASSERT_EQ(paths_.size(), 3u);
  }
  void TearDown() override { log::set_level(log::Level::info); }

  // Whether the damaged checkpoint is refused, whichever way it is opened.
  void expect_noticed(const std::string& what,
                      std::initializer_list<Verify> ways = {Verify::everything, Verify::when_loaded}) {
    for (const Verify verify : ways) {
      bool refused = false;
      try {
        Reader reader = Reader::open(files_, newest_, verify);
        reader.load(wanted_);
      } catch (const Error&) {
        refused = true;
      }
      ASSERT_TRUE(refused) << what;
    }
  }

  FaultFileSystem files_;
  ManualClock clock_;
  std::string newest_ = "/c/step-00000002";
  std::vector<std::string> paths_;
  const std::vector<StateTensor> wanted_ = make_state(-1);
};

TEST_F(Corruption, EveryFlippedBitIsNoticed) {
  for (const std::string& path : paths_) {
    std::vector<std::byte>& content = files_.content(path);
    for (std::size_t at = 0; at < content.size() * 8; at += test::kExhaustiveStride) {
      const std::size_t byte = at / 8;
      const auto bit = static_cast<int>(at % 8);
      content[byte] ^= static_cast<std::byte>(1 << bit);
      bool refused = false;
      try {
        Reader::open(files_, newest_);
      } catch (const Error&) {
        refused = true;
      }
      content[byte] ^= static_cast<std::byte>(1 << bit);
      ASSERT_TRUE(refused) << path << " byte " << byte << " bit " << bit;
    }
  }
  Reader::open(files_, newest_).load(wanted_);
  expect_equal(wanted_, make_state(2));
}

TEST_F(Corruption, EveryTruncationIsNoticed) {
  for (const std::string& path : paths_) {
    std::vector<std::byte>& content = files_.content(path);
    const std::vector<std::byte> whole = content;
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += test::kExhaustiveStride) {
      content.resize(bytes);
      expect_noticed(path + " cut to " + std::to_string(bytes));
      content = whole;
    }
    content.push_back(std::byte{0});
    expect_noticed(path + " with a byte more");
    content = whole;
  }
}

TEST_F(Corruption, RandomDamageIsNoticed) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 100'000; round += test::kExhaustiveStride) {
    const std::string& path = paths_[random() % paths_.size()];
    std::vector<std::byte>& content = files_.content(path);
    const std::vector<std::byte> whole = content;
    const std::size_t at = random() % content.size();
    const std::size_t bytes = std::min<std::size_t>(1 + random() % 64, content.size() - at);
    for (std::size_t i = at; i < at + bytes; ++i) {
      content[i] = static_cast<std::byte>(random());
    }
    if (content != whole) {
      expect_noticed(path + " round " + std::to_string(round),
                     {round % 2 == 0 ? Verify::everything : Verify::when_loaded});
    }
    content = whole;
  }
}

TEST_F(Corruption, TheCheckpointBeforeIsUsedInstead) {
  files_.content(paths_[1])[5000 % files_.content(paths_[1]).size()] ^= std::byte{4};
  std::optional<Reader> reader = Reader::open_newest(files_, "/c");
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(reader->position().step, 1);
  reader->load(wanted_);
  expect_equal(wanted_, make_state(1));
}

TEST_F(Corruption, TheReasonForSkippingIsLogged) {
  files_.content(paths_[2]).resize(100);
  log::set_level(log::Level::warning);
  testing::internal::CaptureStderr();
  Reader::open_newest(files_, "/c");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("checkpoint skipped: " + paths_[2] + ": the file has 100 bytes"));
}

TEST_F(Corruption, IfNoneIsUsableItSaysSoInsteadOfStartingAnew) {
  for (const char* path : {"/c/step-00000001/manifest.pb", "/c/step-00000002/manifest.pb"}) {
    files_.content(path)[30] ^= std::byte{1};
  }
  const std::string message = error_of([&] { Reader::open_newest(files_, "/c"); });
  EXPECT_THAT(message, HasSubstr("no checkpoint there is usable"));
  EXPECT_THAT(message, HasSubstr("the checksum does not match"));
}

TEST_F(Corruption, AManifestWithARightChecksumAndWrongContentIsRefused) {
  const auto manifest_path = newest_ + "/manifest.pb";
  const Manifest good = decode_manifest(files_.content(manifest_path), manifest_path);
  const auto refusal = [&](auto&& change) {
    Manifest bad = good;
    change(bad);
    return error_of([&] { decode_manifest(encode_manifest(bad), "m"); });
  };
  EXPECT_EQ(refusal([](Manifest&) {}), "no error");
  EXPECT_THAT(refusal([](Manifest& m) { m.files[0].name = "../../etc/passwd"; }),
              HasSubstr("'../../etc/passwd' listed"));
  EXPECT_THAT(refusal([](Manifest& m) { std::swap(m.files[0].name, m.files[1].name); }),
              HasSubstr("listed for rank 0"));
  EXPECT_THAT(refusal([](Manifest& m) { m.files[0].block_hashes.clear(); }), HasSubstr("0 checksums"));
  EXPECT_THAT(refusal([](Manifest& m) {
                m.files[0].block_bytes = 0;
                m.files[0].block_hashes.clear();
              }),
              HasSubstr("checksums"));
  EXPECT_THAT(refusal([](Manifest& m) { m.files[0].bytes = ~std::uint64_t{0}; }), HasSubstr("checksums"));
  EXPECT_THAT(refusal([](Manifest& m) { m.files.pop_back(); }), HasSubstr("1 files for a world size of 2"));
  EXPECT_THAT(refusal([](Manifest& m) {
                m.world_size = 0;
                m.files.clear();
              }),
              HasSubstr("world size of 0"));
  EXPECT_THAT(refusal([](Manifest& m) { m.position.step = -1; }), HasSubstr("impossible position"));
  EXPECT_THAT(refusal([](Manifest& m) { m.position.lanes = 0; }), HasSubstr("impossible position"));
  EXPECT_THAT(refusal([](Manifest& m) { m.position.accumulate = 0; }), HasSubstr("impossible position"));
  EXPECT_THAT(refusal([](Manifest& m) { m.position.optimizer_steps = -1; }), HasSubstr("impossible position"));
}

TEST(ShardingInfo, MalformedOffsetsAreRefused) {
  const auto parsed = [](const std::string& info) {
    SafetensorsHeader header;
    header.tensors = {{"t", "F32", DType::f32, {2, 3}, 0, 24}};
    header.metadata["DCP_SHARDING_INFO"] = info;
    return error_of([&] { parse_sharding_info(header, "f"); });
  };
  EXPECT_EQ(parsed(R"({"t":{"saved_offsets":[5,0]}})"), "no error");
  EXPECT_THAT(parsed("nonsense"), HasSubstr("no JSON object"));
  EXPECT_THAT(parsed("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(parsed("{}"), HasSubstr("no offsets for 't'"));
  EXPECT_THAT(parsed(R"({"t":{"saved_offsets":[5]}})"), HasSubstr("no offsets for 't'"));
  EXPECT_THAT(parsed(R"({"t":{"saved_offsets":[-5,0]}})"), HasSubstr("something else than numbers"));
  EXPECT_EQ(parsed(R"({"t":{"saved_offsets":[0,3]}})"), "no error");
  EXPECT_THAT(parsed(R"({"t":{"saved_offsets":[0,9223372036854775807]}})"), HasSubstr("impossible offset"));
  EXPECT_THAT(parsed(R"({"t":{"saved_offsets":[9223372036854775807,0]}})"), HasSubstr("impossible offset"));
  EXPECT_THAT(parsed(R"({"t":{"saved_offsets":[18446744073709551615,0]}})"), HasSubstr("impossible offset"));
  EXPECT_THAT(parsed("{\"t\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}"), HasSubstr("no offsets"));
}

}  // namespace
}  // namespace trireme::checkpoint
