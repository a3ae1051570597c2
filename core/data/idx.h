// IDX files, the format of MNIST: images of bytes with their labels. Y. LeCun, C. Cortes and C. Burges, "The MNIST
// database": a big-endian header (magic 0x00000803 or 0x00000801, sizes), then the bytes.
#pragma once

#include <filesystem>

#include "trireme/core/data/images.h"

namespace trireme::data {

class Idx final : public Images {
 public:
  // Raises Error, naming the file and the sizes found and expected, if a file is absent, empty, torn, compressed, of
  // another format, or if images and labels differ in number. `flatten`: inputs [items, rows * columns], else
  // [items, 1, rows, columns].
  Idx(const std::filesystem::path& images, const std::filesystem::path& labels, bool flatten = true);

  // The training and the test part of a directory with MNIST's file names (train-images-idx3-ubyte, ...; a dot in place
  // of the second dash is understood).
  static Idx train(const std::filesystem::path& directory, bool flatten = true);
  static Idx test(const std::filesystem::path& directory, bool flatten = true);

 private:
  Idx(const Array& pixels, const std::filesystem::path& images, const std::filesystem::path& labels, bool flatten);
};

}  // namespace trireme::data
