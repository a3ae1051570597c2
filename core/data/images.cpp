#include "trireme/core/data/images.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/data/pixels.h"

namespace trireme::data {

Images::Images(Array pixels, Array labels, bool flatten)
    : pixels_(std::move(pixels)), labels_(std::move(labels)), flatten_(flatten) {
  require(pixels_.dims() == 4 && pixels_.dtype() == DType::u8 && labels_.dims() == 1 && labels_.dtype() == DType::u8 &&
              pixels_.size(0) == labels_.size(0),
          "data::Images: pixels {} and labels {} given, u8 [count, channels, height, width] and u8 [count] expected",
          pixels_, labels_);
  pixels_ = pixels_.contiguous();
  labels_ = labels_.contiguous();
}

void Images::fetch(std::span<const std::int64_t> items, Batch& batch) const {
  const Shape image = image_shape();
  const std::int64_t size = image.count();
  batch.items = static_cast<std::int64_t>(items.size());
  make_room(batch.inputs, flatten_ ? Shape{batch.items, size} : Shape{batch.items, image[0], image[1], image[2]},
            DType::f32);
  make_room(batch.labels, {batch.items}, DType::u8);
  const std::uint8_t* pixels = pixels_.data<std::uint8_t>();
  const std::uint8_t* labels = labels_.data<std::uint8_t>();
  float* inputs = batch.inputs.data<float>();
  std::uint8_t* classes = batch.labels.data<std::uint8_t>();
  for (const std::int64_t item : items) {
    pixels_to_floats(pixels + item * size, size, inputs);
    inputs += size;
    *classes++ = labels[item];
  }
}

std::int64_t Images::classes() const {
  const auto all = labels_.span<std::uint8_t>();
  return all.empty() ? 0 : *std::max_element(all.begin(), all.end()) + 1;
}

}  // namespace trireme::data
