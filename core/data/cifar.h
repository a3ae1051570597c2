// CIFAR-10 in its binary version: records of one label byte and 3,072 pixel bytes (red, green, blue planes of 32 x 32).
// A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
#pragma once

#include <filesystem>
#include <vector>

#include "trireme/core/data/images.h"

namespace trireme::data {

class Cifar10 final : public Images {
 public:
  // The files' records, one file after the other; inputs are [items, 3, 32, 32]. Raises Error, naming the file and the
  // sizes, if one is absent, empty or torn or has a label above 9.
  explicit Cifar10(const std::vector<std::filesystem::path>& files);

  // data_batch_1.bin to data_batch_5.bin, and test_batch.bin, of a directory.
  static Cifar10 train(const std::filesystem::path& directory);
  static Cifar10 test(const std::filesystem::path& directory);

 private:
  struct Records {
    Array pixels;
    Array labels;
  };
  static Records read(const std::vector<std::filesystem::path>& files);
  explicit Cifar10(const Records& records) : Images(records.pixels, records.labels, false) {}
};

}  // namespace trireme::data
