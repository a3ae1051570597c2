// Image datasets: IDX and CIFAR files, whole and broken, and drawn digits.
#include "trireme/core/data/images.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "tests/core/data/files.h"
#include "tests/support/temp_dir.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/data/cifar.h"
#include "trireme/core/data/digits.h"
#include "trireme/core/data/idx.h"
#include "trireme/core/data/pixels.h"

namespace trireme::data {
namespace {

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string images_file(std::uint32_t count, std::uint32_t rows, std::uint32_t columns) {
  std::string bytes = big_endian(0x803) + big_endian(count) + big_endian(rows) + big_endian(columns);
  for (std::uint32_t i = 0; i < count * rows * columns; ++i) {
    bytes += static_cast<char>(i);
  }
  return bytes;
}

std::string labels_file(std::uint32_t count) {
  std::string bytes = big_endian(0x801) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    bytes += static_cast<char>(i % 10);
  }
  return bytes;
}

TEST(Pixels, EveryByteIsItsRoundedQuotientByte255AtEveryOffset) {
  std::vector<std::uint8_t> bytes(256);
  for (int i = 0; i < 256; ++i) {
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i);
  }
  for (std::int64_t first = 0; first < 256; ++first) {
    std::vector<float> out(static_cast<std::size_t>(257 - first), -1);
    pixels_to_floats(bytes.data() + first, 256 - first, out.data());
    for (std::int64_t i = first; i < 256; ++i) {
      ASSERT_EQ(out[static_cast<std::size_t>(i - first)], static_cast<float>(i) / 255.0f);
    }
    EXPECT_EQ(out.back(), -1) << "wrote behind the end";
  }
}

TEST(Idx, GivesPixelsAndLabelsInItemOrder) {
  const test::TempDir dir;
  const std::string images = write_file(dir / "images", images_file(5, 2, 3));
  const std::string labels = write_file(dir / "labels", labels_file(5));
  const Idx flat(images, labels);
  const Idx square(images, labels, false);
  Batch batch;
  const std::vector<std::int64_t> items = {4, 1};
  flat.fetch(items, batch);
  EXPECT_EQ(batch.items, 2);
  EXPECT_EQ(batch.inputs.shape(), (Shape{2, 6}));
  EXPECT_EQ(batch.labels.to_vector<int>(), (std::vector<int>{4, 1}));
  EXPECT_EQ(batch.inputs.to_vector<float>()[0], 24 / 255.0f);
  EXPECT_EQ(batch.inputs.to_vector<float>()[11], 11 / 255.0f);
  square.fetch(items, batch);
  EXPECT_EQ(batch.inputs.shape(), (Shape{2, 1, 2, 3}));
  EXPECT_EQ(square.classes(), 5);
}

TEST(Idx, OpensADirectoryWithTheNamesOfMnist) {
  const std::filesystem::path digits = std::filesystem::path(TRIREME_SOURCE_DIR) / "tests/data/digits";
  const Idx train = Idx::train(digits);
  EXPECT_EQ(train.count(), 1500);
  EXPECT_EQ(train.image_shape(), (Shape{1, 28, 28}));
  EXPECT_EQ(Idx::test(digits).count(), 297);
  EXPECT_EQ(train.classes(), 10);
}

TEST(Idx, BrokenFilesAreErrorsThatSayWhatWasExpected) {
  const test::TempDir dir;
  const std::string good = write_file(dir / "images", images_file(5, 2, 3));
  const std::string labels = write_file(dir / "labels", labels_file(5));
  const auto open = [&](const std::string& images) { return [&, images] { Idx(images, labels); }; };
  expect_error(open(dir / "absent"), {"absent", "does not exist"});
  expect_error(open(dir.path().string()), {"not a regular file"});
  expect_error(open(write_file(dir / "empty", "")), {"at least 16 bytes", "found 0"});
  expect_error(open(write_file(dir / "torn", images_file(5, 2, 3).substr(0, 40))),
               {"expected 5*2*3+16 bytes, found 40"});
  expect_error(open(write_file(dir / "long", images_file(5, 2, 3) + "x")), {"expected 5*2*3+16 bytes, found 47"});
  expect_error(open(write_file(dir / "zip", "\x1f\x8b rest")), {"gunzip"});
  expect_error(open(labels), {"expected the magic number 0x00000803", "found 0x00000801"});
  expect_error(open(write_file(dir / "none", images_file(0, 2, 3))), {"holds nothing"});
  const std::string huge = big_endian(0x803) + big_endian(~0u) + big_endian(~0u) + big_endian(~0u);
  expect_error(open(write_file(dir / "huge", huge)), {"4294967295*4294967295*4294967295+16", "found 16"});
  expect_error([&] { Idx(good, write_file(dir / "fewer", labels_file(4))); }, {"5 images and 4 labels"});
  expect_error([&] { Idx::train(dir.path()); }, {"train-images-idx3-ubyte"});
}

std::string cifar_record(int label, int fill) {
  return std::string(1, static_cast<char>(label)) + std::string(3072, static_cast<char>(fill));
}

TEST(Cifar10, ConcatenatesTheRecordsOfItsFiles) {
  const test::TempDir dir;
  const Cifar10 cifar({write_file(dir / "a.bin", cifar_record(3, 51) + cifar_record(1, 0)),
                       write_file(dir / "b.bin", cifar_record(9, 255))});
  EXPECT_EQ(cifar.count(), 3);
  Batch batch;
  cifar.fetch(std::vector<std::int64_t>{0, 2}, batch);
  EXPECT_EQ(batch.inputs.shape(), (Shape{2, 3, 32, 32}));
  EXPECT_EQ(batch.labels.to_vector<int>(), (std::vector<int>{3, 9}));
  EXPECT_EQ(batch.inputs.to_vector<float>()[5], 0.2f);
  EXPECT_EQ(batch.inputs.to_vector<float>()[3072], 1.0f);
}

TEST(Cifar10, BrokenFilesAreErrorsThatSayWhatWasExpected) {
  const test::TempDir dir;
  using Files = std::vector<std::filesystem::path>;
  expect_error([&] { Cifar10(Files{write_file(dir / "torn", cifar_record(1, 1).substr(1))}); },
               {"multiple of 3073 bytes", "found 3072"});
  expect_error([&] { Cifar10(Files{write_file(dir / "empty", "")}); }, {"found 0"});
  expect_error([&] { Cifar10(Files{write_file(dir / "label", cifar_record(1, 1) + cifar_record(77, 1))}); },
               {"record 1", "label 77"});
  expect_error([&] { Cifar10::train(dir.path()); }, {"data_batch_1.bin", "does not exist"});
}

TEST(Digits, AnImageDependsOnSeedPartAndNumberAlone) {
  const Digits all({.count = 200, .seed = 4});
  set_num_threads(2);
  const Digits fewer({.count = 70, .seed = 4});
  set_num_threads(1);
  const auto pixels = [](const Digits& digits, std::int64_t i) {
    return digits.pixels().select(0, i).to_vector<int>();
  };
  for (const std::int64_t i : {0, 37, 69}) {
    EXPECT_EQ(pixels(all, i), pixels(fewer, i));
  }
  EXPECT_NE(pixels(all, 3), pixels(Digits({.count = 10, .seed = 5}), 3));
  EXPECT_NE(pixels(all, 3), pixels(Digits({.count = 10, .seed = 4, .test = true}), 3));
  EXPECT_NE(pixels(all, 3), pixels(all, 13));
}

// Images of one class look alike and those of others do not: the nearest class mean is right for most test images.
TEST(Digits, CanBeToldApart) {
  const Digits train({.count = 2000, .seed = 1});
  const Digits test({.count = 300, .seed = 1, .test = true});
  std::vector<std::vector<double>> means(10, std::vector<double>(784));
  for (std::int64_t i = 0; i < train.count(); ++i) {
    const std::vector<int> pixels = train.pixels().select(0, i).to_vector<int>();
    for (std::size_t p = 0; p < 784; ++p) {
      means[static_cast<std::size_t>(i % 10)][p] += pixels[p] / 200.0;
    }
  }
  int right = 0;
  for (std::int64_t i = 0; i < test.count(); ++i) {
    const std::vector<int> pixels = test.pixels().select(0, i).to_vector<int>();
    std::vector<double> distances;
    for (const auto& mean : means) {
      double distance = 0;
      for (std::size_t p = 0; p < 784; ++p) {
        distance += (pixels[p] - mean[p]) * (pixels[p] - mean[p]);
      }
      distances.push_back(distance);
    }
    right += std::min_element(distances.begin(), distances.end()) - distances.begin() == i % 10;
  }
  EXPECT_GT(right, 180);  // by chance 30
}

}  // namespace
}  // namespace trireme::data
