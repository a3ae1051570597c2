// Saving and opening: what is in the directory afterwards, what is kept, who may write.
#include "trireme/checkpoint/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/manifest.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Writer, WhatIsSavedComesBack) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  Writer writer(files, clock, options(dir / "new/checkpoints"));
  writer.save(position(42), make_state(42));
  EXPECT_EQ(writer.last_safe_step(), 42);
  EXPECT_EQ(writer.statistics().saves, 1);
  expect_newest(files, dir / "new/checkpoints", 42);

  const Reader reader = Reader::open(files, dir / "new/checkpoints/step-00000042");
  const TrainingPosition& got = reader.position();
  const TrainingPosition expected = position(42);
  EXPECT_EQ(got.epoch, expected.epoch);
  EXPECT_EQ(got.batch_in_epoch, expected.batch_in_epoch);
  EXPECT_EQ(got.optimizer_steps, expected.optimizer_steps);
  EXPECT_EQ(got.seed, expected.seed);
  EXPECT_EQ(got.lanes, expected.lanes);
  EXPECT_EQ(got.accumulate, expected.accumulate);
  EXPECT_EQ(got.global_batch, expected.global_batch);
  EXPECT_EQ(got.strategy, expected.strategy);
  EXPECT_EQ(got.extra, expected.extra);
  EXPECT_EQ(got.epoch_loss, expected.epoch_loss);
  EXPECT_EQ(got.epoch_weight, expected.epoch_weight);
  EXPECT_EQ(got.best_seen.value, expected.best_seen.value);
  EXPECT_EQ(got.best_seen.looks_since, expected.best_seen.looks_since);
  EXPECT_EQ(reader.manifest().world_size, 1);
}

TEST(Writer, ACommittedDirectoryHoldsShardsAndManifestOnly) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 5, 3);
  EXPECT_THAT(files.list("/c/step-00000005"), ElementsAre("manifest.pb", "shard-00001-model-00001-of-00001.safetensors",
                                                          "shard-00002-model-00001-of-00001.safetensors",
                                                          "shard-00003-model-00001-of-00001.safetensors"));
}

TEST(Writer, KeepsTheNewestAndOverwritesTheFilesOfTheOldest) {
  for (const bool recycle : {false, true}) {
    FaultFileSystem files;
    ManualClock clock;
    WriterOptions kept = options("/c");
    kept.keep = 2;
    kept.recycle = recycle;
    Writer writer(files, clock, kept);
    for (std::int64_t step = 1; step <= 6; ++step) {
      writer.save(position(step), make_state(step));
      expect_newest(files, "/c", step);
    }
    EXPECT_TRUE(files.status("/c/step-00000005").has_value());
    EXPECT_FALSE(files.status("/c/step-00000004").has_value());
    EXPECT_EQ(files.status("/c/recycled.tmp-0000000000000000").has_value(), recycle);
  }
}

TEST(Writer, ASmallerStateOverwritesTheRecycledFileOfALargerOne) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions kept = options("/c");
  kept.keep = 1;
  Writer writer(files, clock, kept);
  for (std::int64_t step = 1; step <= 4; ++step) {
    auto state = make_state(step);
    const Array big = Array::full({1000 / step, 3}, 2);
    state.push_back({"big", big.shape(), 0, big});
    writer.save(position(step), state);
    expect_newest(files, "/c", step);
  }
}

TEST(Writer, TheNewestIsTheOneSavedLastWhateverItsStep) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 40, 1);
  save_all(files, clock, "/c", 20, 1);  // a run that was started again from before
  expect_newest(files, "/c", 20);
  save_all(files, clock, "/c", 40, 1);
  expect_newest(files, "/c", 40);
}

TEST(Writer, ReplacingACheckpointOfTheSameStepLeavesOnlyTheNewOne) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 3, 2);
  save_all(files, clock, "/c", 3, 1);
  expect_newest(files, "/c", 3);
  EXPECT_EQ(files.list("/c/step-00000003").size(), 2u);
  EXPECT_FALSE(files.status("/c/step-00000003.replaced").has_value());
}

TEST(Writer, AStepIsNotSavedTwice) {
  FaultFileSystem files;
  ManualClock clock;
  Writer writer(files, clock, options("/c"));
  writer.save(position(3), make_state(3));
  const std::int64_t calls = files.calls();
  writer.save(position(3), make_state(3));
  EXPECT_EQ(files.calls(), calls);
  EXPECT_EQ(writer.statistics().saves, 1);
}

TEST(Writer, ASecondJobIsRefusedAndTheFirstOneNamed) {
  FaultFileSystem files;
  ManualClock clock;
  const Writer first(files, clock, options("/c"));
  const std::string message = error_of([&] { Writer second(files, clock, options("/c")); });
  EXPECT_THAT(message, HasSubstr("/c is in use by process "));
  EXPECT_THAT(message, HasSubstr("another --checkpoint-dir"));
}

TEST(Writer, TheCommitterNamesTheRanksThatStoredNothing) {
  FaultFileSystem files;
  ManualClock clock;
  Writer one(files, clock, options("/c", 1, 4));
  one.save(position(1), make_state(1, 1, 4));
  Writer zero(files, clock, options("/c", 0, 4));
  const std::string message = error_of([&] { zero.save(position(1), make_state(1, 0, 4)); });
  EXPECT_THAT(message, HasSubstr("ranks [2, 3] of 4 stored nothing within 60 s"));
  EXPECT_FALSE(Reader::open_newest(files, "/c").has_value());
}

TEST(Writer, TheCommitterHearsWhyAnotherRankFailed) {
  FaultFileSystem files;
  ManualClock clock;
  Writer one(files, clock, options("/c", 1, 2));
  files.fail_call(4, ENOSPC);  // resizing its file
  EXPECT_THROW(one.save(position(1), make_state(1, 1, 2)), Error);
  Writer zero(files, clock, options("/c", 0, 2));
  const std::string message = error_of([&] { zero.save(position(1), make_state(1, 0, 2)); });
  EXPECT_THAT(message, HasSubstr("rank 1 could not save its part: "));
  EXPECT_THAT(message, HasSubstr("No space left on device"));
}

TEST(Writer, RecordsOfADeadRunAreNotTakenForThoseOfThisOne) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions dead = options("/c", 1, 2);
  dead.run_id = 1;
  Writer(files, clock, dead).save(position(1), make_state(1, 1, 2));  // its rank 0 died
  WriterOptions alive = options("/c", 0, 2);
  alive.run_id = 2;
  Writer zero(files, clock, alive);
  EXPECT_FALSE(files.status("/c/step-00000001.tmp-0000000000000001").has_value()) << "leftovers stay";
  EXPECT_THAT(error_of([&] { zero.save(position(1), make_state(1, 0, 2)); }), HasSubstr("ranks [1] of 2"));
}

TEST(Writer, ForeignFilesAreNeitherReadNorDeleted) {
  FaultFileSystem files;
  ManualClock clock;
  make_directories(files, "/c/step-x");
  make_directories(files, "/c/step-00000007");  // a person's folder of that name
  write_file(files, "/c/step-00000007/notes.txt", {});
  write_file(files, "/c/step-00000008", {});
  write_file(files, "/c/README", {});
  for (std::int64_t step = 1; step <= 5; ++step) {
    save_all(files, clock, "/c", step, 1);
    expect_newest(files, "/c", step);
  }
  for (const char* path : {"/c/step-x", "/c/step-00000007/notes.txt", "/c/step-00000008", "/c/README"}) {
    EXPECT_TRUE(files.status(path).has_value()) << path;
  }
}

TEST(Writer, ACheckpointThatSomebodyKeepsUnderAnotherNameIsNotOverwritten) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions one = options("/c");
  one.keep = 1;
  Writer writer(files, clock, one);
  writer.save(position(1), make_state(1));
  make_directories(files, "/kept/step-00000001");
  for (const std::string& name : files.list("/c/step-00000001")) {  // cp -al
    files.link("/c/step-00000001/" + name, "/kept/step-00000001/" + name);
  }
  for (std::int64_t step = 2; step <= 4; ++step) {
    writer.save(position(step), make_state(step));
  }
  expect_newest(files, "/kept", 1);
  expect_newest(files, "/c", 4);
}

TEST(Writer, ALinkInAShardsPlaceIsRemovedAndWhatItLeadsToStays) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  WriterOptions one = options(dir / "c");
  one.keep = 1;
  Writer writer(files, clock, one);
  writer.save(position(1), make_state(1));
  const std::string shard = dir / "c/step-00000001/shard-00001-model-00001-of-00001.safetensors";
  std::filesystem::rename(shard, dir / "elsewhere");
  std::filesystem::create_symlink(dir / "elsewhere", shard);
  const std::vector<std::byte> before = read_file(files, dir / "elsewhere", 1 << 20);
  for (std::int64_t step = 2; step <= 4; ++step) {
    writer.save(position(step), make_state(step));
  }
  EXPECT_EQ(read_file(files, dir / "elsewhere", 1 << 20), before);
  expect_newest(files, dir / "c", 4);
}

TEST(Writer, SavesThatFailDoNotFillTheDisk) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions given = options("/c", 0, 2);
  Writer zero(files, clock, given);
  Writer one(files, clock, options("/c", 1, 2));
  for (std::int64_t step = 1; step <= 4; ++step) {  // rank 1 stores its part each time, rank 0 cannot
    one.save(position(step), make_state(step, 1, 2));
    files.fail_call(4, ENOSPC, /*for_ever=*/true);
    EXPECT_THAT(error_of([&] { zero.save(position(step), make_state(step, 0, 2)); }), HasSubstr("errno 28"));
    files.fail_call(-1, 0);
  }
  EXPECT_THAT(files.list("/c"), testing::Contains("step-00000004.tmp-0000000000000000"));
  one.save(position(5), make_state(5, 1, 2));
  zero.save(position(5), make_state(5, 0, 2));
  EXPECT_THAT(files.list("/c"), ElementsAre("lock", "recycled.tmp-0000000000000000", "step-00000005"));
  expect_newest(files, "/c", 5);
}

TEST(Writer, TheSameStepCanBeTriedAgainAfterAFailureOfOneRank) {
  FaultFileSystem files;
  ManualClock clock;
  Writer zero(files, clock, options("/c", 0, 2));
  Writer one(files, clock, options("/c", 1, 2));
  one.save(position(7), make_state(7, 1, 2));
  files.fail_call(4, ENOSPC);
  EXPECT_THAT(error_of([&] { zero.save(position(7), make_state(7, 0, 2)); }), HasSubstr("errno 28"));
  one.save(position(7), make_state(7, 1, 2));  // has stored its part already
  zero.save(position(7), make_state(7, 0, 2));
  expect_newest(files, "/c", 7);
}

TEST(Writer, ALoneRunClearsAwayWhatOneOfTheSameNumberLeft) {
  FaultFileSystem files;
  ManualClock clock;
  {
    Writer writer(files, clock, options("/c"));
    files.fail_call(4, EIO, /*for_ever=*/true);
    EXPECT_THAT(error_of([&] { writer.save(position(1), make_state(1)); }), HasSubstr("errno 5"));
    files.fail_call(-1, 0);
  }
  EXPECT_THAT(files.list("/c"), testing::Contains("step-00000001.tmp-0000000000000000"));
  const Writer next(files, clock, options("/c"));
  EXPECT_THAT(files.list("/c"), ElementsAre("lock"));
}

TEST(Writer, ASaveThatFailedLateIsOlderThanTheNextAndGoesWithTheOthers) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions one = options("/c");
  one.keep = 1;
  Writer writer(files, clock, one);
  bool published = false;
  // Until the call that fails is the sync after the last rename. Where direct writing is refused, the other way serves.
  for (std::int64_t call = 0; !published; ++call) {
    files.fail_call(call, EIO);
    ASSERT_LT(call, 1000);
    const std::string error = error_of([&] { writer.save(position(2 + call), make_state(2 + call)); });
    files.fail_call(-1, 0);
    published = error != "no error" && files.status("/c/" + committed_name(2 + call)).has_value();
  }
  writer.save(position(1000), make_state(1000));
  expect_newest(files, "/c", 1000);
  EXPECT_THAT(files.list("/c"), ElementsAre("lock", "recycled.tmp-0000000000000000", "step-00001000"));
}

TEST(Writer, DamagedCheckpointsDoNotCountAmongThoseThatStay) {
  using testing::IsEmpty;
  EXPECT_THAT(plan_retention({{"a", 1}, {"b", 2, false}, {"c", 3}}, 2), IsEmpty());
  EXPECT_THAT(plan_retention({{"a", 1}, {"b", 2, false}, {"c", 3}, {"d", 4}}, 2), ElementsAre("a", "b"));
  EXPECT_THAT(plan_retention({{"a", 1}, {"b", 2, false}, {"c", 3, false}}, 1), IsEmpty());
  FaultFileSystem files;
  ManualClock clock;
  for (std::int64_t step = 1; step <= 3; ++step) {
    save_all(files, clock, "/c", step, 1);
  }
  files.content("/c/step-00000003/shard-00001-model-00001-of-00001.safetensors").back() ^= std::byte{1};
  files.content("/c/step-00000002/shard-00001-model-00001-of-00001.safetensors").pop_back();
  Writer writer(files, clock, options("/c"));  // sees by itself that a file has another size
  writer.set_damaged({"/c/step-00000003"});    // a resume has read it
  writer.save(position(4), make_state(4));
  EXPECT_THAT(files.list("/c"), testing::Not(testing::Contains("step-00000001"))) << "the second that is whole";
}

TEST(Writer, AFileInTheWayOfACheckpointIsNamedAndStays) {
  FaultFileSystem files;
  ManualClock clock;
  Writer writer(files, clock, options("/c"));
  write_file(files, "/c/step-00000001", {});
  EXPECT_THAT(error_of([&] { writer.save(position(1), make_state(1)); }),
              HasSubstr("the file /c/step-00000001 is in the way"));
  EXPECT_TRUE(files.status("/c/step-00000001").has_value());
  writer.save(position(2), make_state(2));
  expect_newest(files, "/c", 2);
}

TEST(Writer, ARecordThatNamesAnotherFileOrSizeIsRefused) {
  const auto commit_with = [](const std::function<void(ShardRecord&)>& change) {
    FaultFileSystem files;
    ManualClock clock;
    Writer zero(files, clock, options("/c", 0, 2));
    Writer(files, clock, options("/c", 1, 2)).save(position(1), make_state(1, 1, 2));
    const std::string path = "/c/step-00000001.tmp-0000000000000000/shard-00002.record";
    ShardRecord record = decode_record(files.content(path), path);
    change(record);
    files.content(path) = encode_record(record);
    return error_of([&] { zero.save(position(1), make_state(1, 0, 2)); });
  };
  EXPECT_EQ(commit_with([](ShardRecord&) {}), "no error");
  EXPECT_THAT(commit_with([](ShardRecord& record) { record.file.name = "../../x"; }), HasSubstr("names the file"));
  EXPECT_THAT(commit_with([](ShardRecord& record) { record.file.name = ""; }), HasSubstr("names the file"));
  EXPECT_THAT(commit_with([](ShardRecord& record) { --record.file.bytes; }), HasSubstr("its rank wrote"));
}

TEST(Writer, SlicesThatDoNotMakeUpATensorAreNeverCommitted) {
  FaultFileSystem files;
  ManualClock clock;
  Writer one(files, clock, options("/c", 1, 2));
  one.save(position(1), make_state(1, 1, 2, true));
  auto state = make_state(1, 0, 2, true);
  state[0].rows = state[0].rows.narrow(0, 0, 3);  // a row of rank 0 is missing
  Writer zero(files, clock, options("/c", 0, 2));
  EXPECT_THAT(error_of([&] { zero.save(position(1), state); }),
              HasSubstr("'model.wte.weight' has rows from 4 on here, but 3"));
  EXPECT_FALSE(Reader::open_newest(files, "/c").has_value());
}

TEST(Writer, AStateThatCannotBeSavedIsNamed) {
  FaultFileSystem files;
  ManualClock clock;
  Writer writer(files, clock, options("/c"));
  const auto save = [&](StateTensor tensor) {
    return error_of([&] { writer.save(position(1), std::vector{tensor}); });
  };
  EXPECT_THAT(save({"x", {4}, 0, Array::zeros({3})}),
              HasSubstr("'x' holds rows [0, 3) of 4 but is not marked sharded"));
  EXPECT_THAT(save({"x", {4, 2}, 0, Array::zeros({4, 3})}), HasSubstr("'x' has f32[4, 3] at row 0"));
  EXPECT_THAT(save({"x", {4}, 2, Array::zeros({3}), true}), HasSubstr("no part of its shape"));
  EXPECT_THAT(save({"x", {4}, 0, Array::deferred({4})}), HasSubstr("no values yet"));
  EXPECT_THAT(save({"", {4}, 0, Array::zeros({4})}), HasSubstr("cannot be stored"));
}

TEST(Writer, StridedTensorsAreSavedByValue) {
  FaultFileSystem files;
  ManualClock clock;
  std::vector<float> values(12);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i);
  }
  const Array transposed = Array::from(values, {3, 4}).transpose(0, 1);
  const std::vector<StateTensor> state = {{"x", {4, 3}, 0, transposed}};
  for (int rank = 1; rank >= 0; --rank) {
    Writer(files, clock, options("/c", rank, 2)).save(position(1), state);
  }
  const Array back = Array::zeros({3, 4});
  const std::vector<StateTensor> wanted = {{"x", {4, 3}, 0, back.transpose(0, 1)}};
  Reader::open_newest(files, "/c")->load(wanted);
  EXPECT_EQ(back.to_vector<float>(), values);
}

TEST(Writer, ADirectoryThatIsAFileIsRefused) {
  FaultFileSystem files;
  ManualClock clock;
  write_file(files, "/c", {});
  EXPECT_THAT(error_of([&] { Writer(files, clock, options("/c")); }), HasSubstr("/c is a file"));
  EXPECT_THAT(error_of([&] { Reader::open_newest(files, "/c"); }), HasSubstr("/c: it is a file"));
}

}  // namespace
}  // namespace trireme::checkpoint
