// Images: labelled images held in memory as bytes. IDX files, CIFAR files and drawn digits become this.
#pragma once

#include "trireme/core/data/dataset.h"

namespace trireme::data {

// Batches: inputs f32 [items, channels, height, width], or [items, pixels] if flattened, pixels divided by 255;
// labels u8 [items].
class Images : public Dataset {
 public:
  // pixels u8 [count, channels, height, width], labels u8 [count]. Raises Error for other shapes.
  Images(Array pixels, Array labels, bool flatten);

  std::int64_t count() const override { return labels_.count(); }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override;
  // [channels, height, width], and the largest label + 1.
  Shape image_shape() const { return {pixels_.size(1), pixels_.size(2), pixels_.size(3)}; }
  std::int64_t classes() const;
  const Array& pixels() const { return pixels_; }
  const Array& labels() const { return labels_; }

 private:
  Array pixels_;
  Array labels_;
  bool flatten_;
};

}  // namespace trireme::data
