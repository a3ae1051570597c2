// Slices of any kind, in any files, read as whole tensors.
#include "trireme/checkpoint/saved_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/checkpoint/slices.h"
#include "tests/support/error_of.h"
#include "tests/support/fault_filesystem.h"
#include "trireme/checkpoint/model_file.h"
#include "trireme/checkpoint/source.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using test::error_of;
using test::FaultFileSystem;
using test_slices::Box;
using test_slices::write_slices;
using testing::HasSubstr;

std::vector<float> ramp(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

std::string problem_of(FaultFileSystem& files, const Shape& shape, const std::vector<Box>& boxes) {
  write_slices(files, "/d", "t", Array::from(ramp(shape.count()), shape), boxes);
  return error_of([&] { Source::open(files, "/d"); });
}

// Cuts every dim at random places.
std::vector<Box> random_grid(const Shape& shape, std::mt19937& random) {
  std::vector<Box> boxes = {{Shape(std::vector<std::int64_t>(static_cast<std::size_t>(shape.dims()), 0)), shape}};
  for (int dim = 0; dim < shape.dims(); ++dim) {
    const auto cut = static_cast<std::int64_t>(random() % static_cast<unsigned>(shape[dim] + 1));
    std::vector<Box> next;
    for (const Box& box : boxes) {
      Box low = box;
      Box high = box;
      low.sizes[dim] = cut;
      high.sizes[dim] = box.sizes[dim] - cut;
      high.begin[dim] = cut;
      for (const Box& part : {low, high}) {
        if (part.sizes.count() > 0) {
          next.push_back(part);
        }
      }
    }
    boxes = std::move(next);
  }
  return boxes;
}

TEST(SavedTensors, AnyPieceOfATensorCutAlongAnyDimsIsRead) {
  std::mt19937 random(7);
  for (const Shape& shape : {Shape{6}, Shape{5, 7}, Shape{4, 3, 5}, Shape{2, 3, 2, 4}}) {
    const std::vector<float> whole = ramp(shape.count());
    for (int round = 0; round < 20; ++round) {
      FaultFileSystem files;
      write_slices(files, "/d", "t", Array::from(whole, shape), random_grid(shape, random));
      Source source = Source::open(files, "/d");
      const SavedTensor& tensor = *source.saved().find("t");
      EXPECT_EQ(tensor.shape, std::vector<std::int64_t>(shape.begin(), shape.end()));
      const std::size_t begin = random() % whole.size();
      const std::size_t count = 1 + random() % (whole.size() - begin);
      std::vector<float> got(count, -1);
      source.saved().read(tensor, begin, std::as_writable_bytes(std::span(got)));
      EXPECT_EQ(got, std::vector<float>(whole.begin() + static_cast<std::ptrdiff_t>(begin),
                                        whole.begin() + static_cast<std::ptrdiff_t>(begin + count)));
    }
  }
}

TEST(SavedTensors, ColumnsOfAnotherProgramFillAModelsRows) {
  FaultFileSystem files;
  write_slices(files, "/d", "w", Array::from(ramp(12), {3, 4}), {{{0, 0}, {3, 1}}, {{0, 1}, {3, 3}}});
  const Array rows = Array::zeros({2, 4}, DType::f64);
  load_model(files, "/d", std::vector<sharding::StateTensor>{{"w", {3, 4}, 1, rows}});
  EXPECT_EQ(rows.to_vector<double>(), (std::vector<double>{4, 5, 6, 7, 8, 9, 10, 11}));
}

TEST(SavedTensors, GapsOverlapsAndStrangersAreNamed) {
  FaultFileSystem files;
  EXPECT_EQ(problem_of(files, {2, 4}, {{{0, 0}, {2, 2}}, {{0, 2}, {2, 2}}}), "no error");
  EXPECT_THAT(problem_of(files, {2, 4}, {{{0, 0}, {2, 1}}, {{0, 2}, {2, 2}}}), HasSubstr("'t' has 6 of 8 elements"));
  EXPECT_THAT(problem_of(files, {2, 4}, {{{0, 0}, {2, 3}}, {{0, 2}, {2, 2}}}), HasSubstr("are in /d/part-0"));
  EXPECT_THAT(problem_of(files, {4, 2}, {{{0, 0}, {1, 2}}, {{2, 0}, {2, 2}}}), HasSubstr("rows from 2 on here, but 1"));
  EXPECT_THAT(problem_of(files, {4, 2}, {{{0, 0}, {3, 2}}, {{2, 0}, {2, 2}}}), HasSubstr("rows from 2 on here, but 3"));
}

TEST(SavedTensors, APieceBeyondTheEndIsRefused) {
  FaultFileSystem files;
  write_slices(files, "/d", "t", Array::from(ramp(6), {6}), {{{0}, {6}}});
  Source source = Source::open(files, "/d");
  const SavedTensor& tensor = *source.saved().find("t");
  std::vector<float> out(3);
  const auto bytes = std::as_writable_bytes(std::span(out));
  EXPECT_EQ(error_of([&] { source.saved().read(tensor, 3, bytes); }), "no error");
  EXPECT_THAT(error_of([&] { source.saved().read(tensor, 4, bytes); }), HasSubstr("it has 6 elements"));
  EXPECT_THAT(error_of([&] { source.saved().read(tensor, ~std::uint64_t{0}, bytes); }), HasSubstr("it has 6 elements"));
  EXPECT_THAT(error_of([&] { source.saved().read(tensor, 0, bytes.first(5)); }), HasSubstr("5 bytes"));
}

TEST(Source, WhatIsNoneIsNamed) {
  FaultFileSystem files;
  make_directories(files, "/empty");
  EXPECT_THAT(error_of([&] { Source::open(files, "/absent"); }), HasSubstr("/absent: no such file or directory"));
  EXPECT_THAT(error_of([&] { Source::open(files, "/empty"); }), HasSubstr("holds neither checkpoints nor safetensors"));
  write_file(files, "/empty/x.txt", std::as_bytes(std::span("0123456789abcdef")));
  EXPECT_THAT(error_of([&] { Source::open(files, "/empty/x.txt"); }), HasSubstr("no safetensors file"));
}

}  // namespace
}  // namespace trireme::checkpoint
