// The worked example of docs/checkpoint_format.md, byte for byte: if this test must change, so must the format's
// version.
#include <gtest/gtest.h>

#include "tests/checkpoint/state_fixture.h"
#include "trireme/checkpoint/snapshot.h"
#include "trireme/checkpoint/source.h"
#include "trireme/checkpoint/tensor_copy.h"
#include "trireme/checkpoint/tensor_output.h"
#include "trireme/core/base/hash.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += fmt::format("{:02x}", std::to_integer<int>(byte));
  }
  return text;
}

// Rank 1 of 2 saves its share of w [3, 2] = 1..6 after step 7.
void take_example(Snapshot& snapshot) {
  const Array w = Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  const std::vector<StateTensor> state = {{"model.w", {3, 2}, 0, w}};
  snapshot.plan(state, 7, 1, 2);
  snapshot.begin(state);
  snapshot.copy();
}

TEST(Format, AShardIsAsDocumented) {
  Snapshot snapshot;
  take_example(snapshot);
  const std::span<const std::byte> bytes = snapshot.wait_for(snapshot.file_bytes());
  ASSERT_EQ(bytes.size(), 4104u);
  EXPECT_EQ(hex(bytes.first(8)), "f80f000000000000");
  std::string json(reinterpret_cast<const char*>(bytes.data()) + 8, 4088);
  json.resize(json.find_last_not_of(' ') + 1);
  EXPECT_EQ(json,
            R"({"__metadata__":{"DCP_SHARDING_INFO":"{\"model.w\":{\"saved_offsets\":[2,0]}}","DCP_VERSION":"1.0",)"
            R"("format":"pt","trireme_rank":"1","trireme_step":"7","trireme_world_size":"2"},)"
            R"("model.w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})");
  EXPECT_EQ(hex(bytes.subspan(4096)), "0000a0400000c040");
  EXPECT_EQ(snapshot.record().name, "shard-00002-model-00001-of-00001.safetensors");
  ASSERT_EQ(snapshot.record().block_hashes.size(), 1u);
  EXPECT_EQ(snapshot.record().block_hashes[0], xxh3(bytes));
  EXPECT_EQ(hash_text(snapshot.record().block_hashes[0]), "fb5b1dc874cdda5c");
}

TEST(Format, AManifestIsAsDocumented) {
  Manifest manifest;
  manifest.sequence = 3;
  manifest.position.step = 7;
  manifest.position.seed = 5;
  manifest.position.lanes = 2;
  manifest.position.global_batch = 8;
  manifest.position.strategy = "mirrored";
  manifest.world_size = 1;
  manifest.files = {{"shard-00001-model-00001-of-00001.safetensors", 4104, kBlockBytes, {0x1122334455667788u}}};
  manifest.run_id = 0x2a;
  manifest.saved_unix_seconds = 1'800'000'000;
  EXPECT_EQ(hex(encode_manifest(manifest)),
            "545249524d414e317700000000000000d15c25c1c09d6af3080110031a1b08072905000000000000003002380140084a086d697272"
            "6f72656420012a400a2c73686172642d30303030312d6d6f64656c2d30303030312d6f662d30303030312e7361666574656e736f72"
            "73108820188080800222088877665544332211308820392a000000000000004080a4a7da06");
}

TEST(Format, NamesAreAsDocumented) {
  test::FaultFileSystem files;
  test::ManualClock clock;
  WriterOptions given = options("/c");
  given.run_id = 0x2a;
  given.keep = 1;
  Writer writer(files, clock, given);
  writer.save(position(7), make_state(7));
  writer.save(position(8), make_state(8));
  EXPECT_EQ(files.list("/c"), (std::vector<std::string>{"lock", "recycled.tmp-000000000000002a", "step-00000008"}));
}

TEST(Format, AMergedModelIsAsDocumented) {
  test::FaultFileSystem files;
  test::ManualClock clock;
  const Array w = Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  for (const int rank : {1, 0}) {
    Writer writer(files, clock, options("/c", rank, 2));
    writer.save(position(7), std::vector<StateTensor>{{"model.w", {3, 2}, 0, w}});
  }
  Source source = Source::open(files, "/c");
  const auto copies = plan_copies(source.saved().tensors(), {});
  write_model_files(files, source.saved(), copies, "/m.safetensors", 1000, [](std::uint64_t) {});
  const std::vector<std::byte> bytes = read_file(files, "/m.safetensors", 1000);
  ASSERT_EQ(bytes.size(), 152u);
  EXPECT_EQ(hex(std::span(bytes).first(8)), "7800000000000000");
  std::string json(reinterpret_cast<const char*>(bytes.data()) + 8, 120);
  json.resize(json.find_last_not_of(' ') + 1);
  EXPECT_EQ(json, R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}})");
  EXPECT_EQ(hex(std::span(bytes).subspan(128)), "0000803f0000004000004040000080400000a0400000c040");
}

}  // namespace
}  // namespace trireme::checkpoint
