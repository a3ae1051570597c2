// A small training state whose every value says where it belongs, as any rank of any strategy would hold it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/error_of.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/manual_clock.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/writer.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint::test_state {

using sharding::StateTensor;
using sharding::TrainingPosition;
using test::error_of;

struct Spec {
  std::string name;
  Shape shape;
  DType dtype;
};

inline const std::vector<Spec>& specs() {
  static const std::vector<Spec> kSpecs = {
      {"model.wte.weight", {7, 3}, DType::f32}, {"model.ln.bias", {5}, DType::f32},
      {"model.half", {4, 2, 2}, DType::bf16},   {"optimizer.exp_avg.wte.weight", {7, 3}, DType::f64},
      {"model.scalar", {}, DType::f32},         {"model.one_row", {1, 4}, DType::i64},
      {"model.empty", {0, 3}, DType::f32},      {"model.flags", {3}, DType::u8},
  };
  return kSpecs;
}

// The value of element `i` of tensor `t` after `step`: small enough to be exact in every dtype.
inline double value_of(std::size_t t, std::int64_t i, std::int64_t step) {
  return static_cast<double>((static_cast<std::int64_t>(t) * 31 + i * 7 + step * 13) % 127);
}

inline void fill(const StateTensor& tensor, std::size_t t, std::int64_t step) {
  const std::int64_t rows = tensor.rows.dims() == 0 ? 1 : tensor.rows.size(0);
  const std::int64_t row = rows == 0 ? 0 : tensor.rows.count() / rows;
  std::vector<double> values;
  for (std::int64_t i = 0; i < tensor.rows.count(); ++i) {
    values.push_back(value_of(t, tensor.row_begin * row + i, step));
  }
  tensor.rows.copy_from(Array::from(values, tensor.rows.shape()).to(tensor.rows.dtype()));
}

// What `rank` holds: everything (mirrored), or rows in blocks of ceil(rows / world_size) (sharded).
inline std::vector<StateTensor> make_state(std::int64_t step, int rank = 0, int world_size = 1, bool sharded = false) {
  std::vector<StateTensor> state;
  for (std::size_t t = 0; t < specs().size(); ++t) {
    const Spec& spec = specs()[t];
    StateTensor tensor{spec.name, spec.shape, 0, Array(), false};
    Shape mine = spec.shape;
    if (sharded && spec.shape.dims() > 0) {
      const std::int64_t all = spec.shape[0];
      const std::int64_t block = (all + world_size - 1) / world_size;
      tensor.row_begin = std::min<std::int64_t>(all, rank * block);
      mine[0] = std::min<std::int64_t>(all, (rank + 1) * block) - tensor.row_begin;
      tensor.sharded = true;
    }
    tensor.rows = Array::zeros(mine, spec.dtype);
    fill(tensor, t, step);
    state.push_back(tensor);
  }
  return state;
}

inline void expect_equal(const std::vector<StateTensor>& got, const std::vector<StateTensor>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t t = 0; t < got.size(); ++t) {
    EXPECT_EQ(got[t].rows.to_vector<double>(), expected[t].rows.to_vector<double>()) << got[t].name;
  }
}

inline void clear(const std::vector<StateTensor>& state) {
  for (const StateTensor& tensor : state) {
    tensor.rows.fill(0);
  }
}

inline TrainingPosition position(std::int64_t step) {
  TrainingPosition position;
  position.step = step;
  position.epoch = step / 10;
  position.batch_in_epoch = step % 10;
  position.optimizer_steps = step;
  position.seed = 0xfedcba9876543210u;
  position.lanes = 12;
  position.accumulate = 2;
  position.global_batch = 24;
  position.strategy = "mirrored";
  position.epoch_loss = 1.0 / 3;
  position.epoch_weight = 7;
  position.best_seen = {-0.5, 2};
  position.extra = {{"precision", "f32"}, {"data", "words"}};
  return position;
}

// Inline (no thread): every call of the file system happens in save().
inline WriterOptions options(const std::string& directory, int rank = 0, int world_size = 1) {
  WriterOptions options;
  options.directory = directory;
  options.rank = rank;
  options.world_size = world_size;
  options.background = false;
  return options;
}

// Saves one step by all ranks, the committer last.
inline void save_all(FileSystem& files, Clock& clock, const std::string& directory, std::int64_t step, int world_size,
                     bool sharded = false) {
  for (int rank = world_size - 1; rank >= 0; --rank) {
    Writer writer(files, clock, options(directory, rank, world_size));
    writer.save(position(step), make_state(step, rank, world_size, sharded));
  }
}

// The newest checkpoint in `directory` is that of `step`, with its values.
inline void expect_newest(FileSystem& files, const std::string& directory, std::int64_t step) {
  std::optional<Reader> reader = Reader::open_newest(files, directory);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(reader->position().step, step);
  const auto state = make_state(-1);
  reader->load(state);
  expect_equal(state, make_state(step));
}

}  // namespace trireme::checkpoint::test_state
