// Any saved slices into any wanted ones: world sizes 1 to 4, mirrored and sharded, on both sides; and parts of a state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/checkpoint/state_fixture.h"
#include "trireme/checkpoint/placement.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;
using testing::HasSubstr;

struct Layout {
  int world_size;
  bool sharded;
};
const std::vector<Layout> kLayouts = {{1, false}, {2, false}, {3, false}, {4, false},
                                      {1, true},  {2, true},  {3, true},  {4, true}};

class Reshard : public testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(Reshard, EveryRankGetsItsRows) {
  const Layout saved = kLayouts[static_cast<std::size_t>(std::get<0>(GetParam()))];
  const Layout wanted = kLayouts[static_cast<std::size_t>(std::get<1>(GetParam()))];
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, saved.world_size, saved.sharded);
  for (int rank = 0; rank < wanted.world_size; ++rank) {
    Reader reader = *Reader::open_newest(files, "/c", Verify::when_loaded);
    const auto state = make_state(-1, rank, wanted.world_size, wanted.sharded);
    reader.load(state);
    expect_equal(state, make_state(9, rank, wanted.world_size, wanted.sharded));
  }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Reshard, testing::Combine(testing::Range(0, 8), testing::Range(0, 8)));

TEST(Placement, MirroredRowsAreCutIntoNearlyEqualNeighbouringRanges) {
  const StateTensor tensor{"x", {10, 2}, 0, Array::zeros({10, 2})};
  std::int64_t next = 0;
  for (int rank = 0; rank < 4; ++rank) {
    const RowRange range = rows_to_save(tensor, rank, 4);
    EXPECT_EQ(range.begin, next);
    EXPECT_EQ(range.rows, rank < 2 ? 3 : 2);
    next += range.rows;
  }
  EXPECT_EQ(next, 10);
}

TEST(Placement, AShardedTensorThatLiesWholeOnOneRankIsWrittenByItAlone) {
  const StateTensor whole{"x", {1, 2}, 0, Array::zeros({1, 2}), true};
  const StateTensor nothing{"x", {1, 2}, 1, Array::zeros({0, 2}), true};
  EXPECT_TRUE(saves_entry(whole, 1, 3));
  EXPECT_EQ(rows_to_save(whole, 1, 3).rows, 1);
  EXPECT_FALSE(saves_entry(nothing, 0, 3));
}

TEST(Placement, EveryByteIsSavedOnceAndTheRanksShareTheWork) {
  FaultFileSystem files;
  ManualClock clock;
  const Array big = Array::zeros({1000, 30});
  const std::vector<StateTensor> state = {{"x", {1000, 30}, 0, big}};
  for (int rank = 3; rank >= 0; --rank) {
    Writer(files, clock, options("/c", rank, 4)).save(position(1), state);
  }
  const Reader reader = *Reader::open_newest(files, "/c");
  for (const FileRecord& file : reader.manifest().files) {
    EXPECT_EQ(file.bytes, 4096u + 250 * 30 * 4);
  }
}

TEST(Reader, LoadsSomeNamesOnly) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 3);
  auto model_only = make_state(-1);
  std::erase_if(model_only, [](const StateTensor& tensor) { return !tensor.name.starts_with("model."); });
  Reader reader = *Reader::open_newest(files, "/c");
  reader.load(model_only);
  for (const StateTensor& tensor : make_state(9)) {
    for (const StateTensor& got : model_only) {
      if (got.name == tensor.name) {
        EXPECT_EQ(got.rows.to_vector<double>(), tensor.rows.to_vector<double>());
      }
    }
  }
  EXPECT_TRUE(reader.has("model.scalar"));
  EXPECT_FALSE(reader.has("model.absent"));
  EXPECT_EQ(reader.tensors().size(), specs().size());
}

TEST(Reader, WhatDoesNotFitIsNamedBeforeAnythingIsWritten) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 9, 2);
  Reader reader = *Reader::open_newest(files, "/c");
  const Array good = Array::zeros({7, 3});
  const auto load_with = [&](StateTensor bad) {
    return error_of([&] { reader.load(std::vector<StateTensor>{{"model.wte.weight", {7, 3}, 0, good}, bad}); });
  };
  EXPECT_THAT(load_with({"model.absent", {2}, 0, Array::zeros({2})}), HasSubstr("no tensor 'model.absent' was saved"));
  EXPECT_THAT(load_with({"model.ln.bias", {6}, 0, Array::zeros({6})}),
              HasSubstr("'model.ln.bias' was saved with shape [5], the program has [6]"));
  EXPECT_THAT(load_with({"model.ln.bias", {5}, 0, Array::zeros({5}, DType::f64)}),
              HasSubstr("'model.ln.bias' was saved as F32, the program has F64"));
  EXPECT_THAT(load_with({"model.ln.bias", {5}, 3, Array::zeros({3})}), HasSubstr("no part of its shape"));
  EXPECT_EQ(good.to_vector<double>(), std::vector<double>(21, 0.0));
}

TEST(Reader, PathsToACheckpointAndToADirectoryOfThemBothOpen) {
  FaultFileSystem files;
  ManualClock clock;
  save_all(files, clock, "/c", 1, 1);
  save_all(files, clock, "/c", 2, 1);
  EXPECT_EQ(Reader::open_path(files, "/c").position().step, 2);
  EXPECT_EQ(Reader::open_path(files, "/c/step-00000001").position().step, 1);
  EXPECT_THAT(error_of([&] { Reader::open_path(files, "/nowhere"); }),
              HasSubstr("/nowhere: no such file or directory"));
  make_directories(files, "/empty");
  EXPECT_THAT(error_of([&] { Reader::open_path(files, "/empty"); }), HasSubstr("holds no checkpoint"));
  EXPECT_FALSE(Reader::open_newest(files, "/nowhere").has_value());
  EXPECT_FALSE(Reader::open_newest(files, "/empty").has_value());
}

}  // namespace
}  // namespace trireme::checkpoint
