// Saving while training goes on: what may change when, what waits for what, and what a failure in the background says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/writer.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;
using testing::HasSubstr;

TEST(BackgroundWriter, TheTensorsMayChangeAsSoonAsSaveReturns) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  WriterOptions background = options(dir / "c");
  background.background = true;
  background.keep = 3;
  {
    Writer writer(files, clock, background);
    const auto state = make_state(1);
    for (std::int64_t step = 1; step <= 5; ++step) {
      for (std::size_t t = 0; t < state.size(); ++t) {
        fill(state[t], t, step);
      }
      writer.save(position(step), state);
      clear(state);
    }
    writer.wait();
    EXPECT_EQ(writer.last_safe_step(), 5);
  }
  expect_newest(files, dir / "c", 5);
}

TEST(BackgroundWriter, SteadyTensorsMayChangeOnceTheyAreCopiedAndOthersAtOnce) {
  const test::TempDir dir;
  PosixFileSystem files;
  SteadyClock clock;
  WriterOptions background = options(dir / "c");
  background.background = true;
  Writer writer(files, clock, background);
  auto state = make_state(1);
  for (std::size_t t = 0; t < state.size(); t += 2) {
    state[t].steady = true;
  }
  for (std::int64_t step = 1; step <= 20; ++step) {
    for (std::size_t t = 0; t < state.size(); ++t) {
      fill(state[t], t, step);
    }
    writer.save(position(step), state);
    for (std::size_t t = 1; t < state.size(); t += 2) {
      state[t].rows.fill(0);
    }
    writer.wait_copied();
    clear(state);
  }
  writer.wait();
  expect_newest(files, dir / "c", 20);
}

TEST(BackgroundWriter, ASaveThatComesTooEarlyWaitsAndIsCountedAndMemoryStaysTheSame) {
  FaultFileSystem files;
  SteadyClock clock;
  WriterOptions background = options("/c");
  background.background = true;
  Writer writer(files, clock, background);
  std::atomic<bool> slow = false;
  files.on_call([&](std::int64_t) {
    if (slow) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  writer.save(position(1), make_state(1));
  writer.wait();
  const std::uint64_t memory = writer.statistics().memory_bytes;
  EXPECT_EQ(writer.statistics().waits, 0);
  EXPECT_GT(memory, 0u);
  slow = true;
  writer.save(position(2), make_state(2));
  writer.save(position(3), make_state(3));
  slow = false;
  writer.wait();
  const SaveStatistics after = writer.statistics();
  EXPECT_EQ(after.waits, 1);
  EXPECT_GE(after.waited_total, std::chrono::milliseconds(5));
  EXPECT_GE(after.stall_total, after.waited_total);
  EXPECT_EQ(after.saves, 3);
  EXPECT_EQ(after.memory_bytes, memory);
  expect_newest(files, "/c", 3);
}

// Large enough for direct I/O, and of no round size: its last bytes go the usual way.
TEST(BackgroundWriter, ALargeShardGoesPastThePageCacheWholeAndInItsOrder) {
  const test::TempDir dir;
  PosixFileSystem real;
  FaultFileSystem strict;
  SteadyClock clock;
  for (FileSystem* files : {static_cast<FileSystem*>(&real), static_cast<FileSystem*>(&strict)}) {
    const std::string directory = files == &real ? dir / "c" : "/c";
    WriterOptions kept = options(directory);
    kept.keep = 1;
    Writer writer(*files, clock, kept);
    for (std::int64_t step = 1; step <= 6; ++step) {  // new files, overwritten ones, each in both ways
      auto state = make_state(step);
      const Array big = Array::zeros({700'001, 3}, DType::u8);
      const Array more = Array::full({300'003}, static_cast<double>(step), DType::f32);
      state.push_back({.name = "big", .global_shape = big.shape(), .rows = big});
      state.push_back({.name = "more", .global_shape = more.shape(), .rows = more});
      writer.save(position(step), state);
      const Array back = Array::zeros({300'003}, DType::f32);
      const std::vector<StateTensor> wanted = {{.name = "more", .global_shape = back.shape(), .rows = back}};
      Reader::open_newest(*files, directory)->load(wanted);
      EXPECT_EQ(back.to_vector<float>(), more.to_vector<float>()) << step;
      expect_newest(*files, directory, step);
    }
  }
}

TEST(BackgroundWriter, ABackgroundFailureIsRaisedOnceAndNamesTheSafeStep) {
  FaultFileSystem files;
  ManualClock clock;
  WriterOptions background = options("/c");
  background.background = true;
  Writer writer(files, clock, background);
  writer.save(position(1), make_state(1));
  writer.wait();
  files.fail_call(3, ENOSPC);
  writer.save(position(2), make_state(2));
  const std::string message = error_of([&] { writer.save(position(3), make_state(3)); });
  EXPECT_THAT(message, HasSubstr("saving the checkpoint of step 2 failed on rank 0"));
  EXPECT_THAT(message, HasSubstr("errno 28"));
  EXPECT_THAT(message, HasSubstr("The one of step 1 is safe"));
  writer.poll();
  writer.save(position(4), make_state(4));
  writer.wait();
  expect_newest(files, "/c", 4);
}

TEST(BackgroundWriter, ARunThatHasSavedNothingYetNamesTheCheckpointThatIsThere) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 7, 1);
  Writer writer(files, clock, options("/c"));
  files.fail_call(3, EIO);
  EXPECT_THAT(error_of([&] { writer.save(position(8), make_state(8)); }), HasSubstr("The one of step 7 is safe"));
}

TEST(BackgroundWriter, ALeavingCommitterWaitsForOtherRanksOnlyShortly) {
  FaultFileSystem files;
  SteadyClock clock;
  WriterOptions background = options("/c", 0, 2);
  background.background = true;
  const auto start = clock.now();
  { Writer(files, clock, background).save(position(1), make_state(1, 0, 2)); }
  EXPECT_LT(clock.now() - start, std::chrono::seconds(20));  // of 60
}

}  // namespace
}  // namespace trireme::checkpoint
