#include "trireme/checkpoint/slice_runs.h"

#include <algorithm>

namespace trireme::checkpoint {
namespace {

// The lines of a slice: runs of `length` elements, one for each index of the dims before `dims`.
class Lines {
 public:
  Lines(const SavedSlice& slice, std::span<const std::int64_t> shape) : slice_(slice), shape_(shape) {
    const std::vector<std::int64_t>& sizes = slice.entry->shape;
    for (std::size_t dim = 1; dim < sizes.size(); ++dim) {
      if (sizes[dim] != shape[dim]) {
        dims_ = dim;  // the last dim that is cut: behind it everything is there
      }
    }
    for (std::size_t dim = 0; dim < sizes.size(); ++dim) {
      (dim < dims_ ? count_ : length_) *= static_cast<std::uint64_t>(sizes[dim]);
    }
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t length() const { return length_; }

  // Where a line begins in the whole tensor.
  std::uint64_t start(std::uint64_t line) const {
    std::uint64_t at = 0;
    std::uint64_t stride = 1;
    for (std::size_t dim = shape_.size(); dim-- > 0;) {
      auto index = static_cast<std::uint64_t>(slice_.begin[dim]);
      if (dim < dims_) {
        const auto size = static_cast<std::uint64_t>(slice_.entry->shape[dim]);
        index += line % size;
        line /= size;
      }
      at += index * stride;
      stride *= static_cast<std::uint64_t>(shape_[dim]);
    }
    return at;
  }

  // The first line that ends after element `begin` of the whole tensor; lines are in ascending order.
  std::uint64_t first_after(std::uint64_t begin) const {
    std::uint64_t low = 0;
    std::uint64_t high = count_;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (start(middle) + length_ > begin) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

 private:
  const SavedSlice& slice_;
  std::span<const std::int64_t> shape_;
  std::size_t dims_ = 0;
  std::uint64_t count_ = 1;
  std::uint64_t length_ = 1;
};

}  // namespace

void for_each_run(const SavedSlice& slice, std::span<const std::int64_t> tensor_shape, std::uint64_t begin,
                  std::uint64_t end, const std::function<void(const SliceRun&)>& use) {
  const Lines lines(slice, tensor_shape);
  if (lines.length() == 0) {
    return;
  }
  for (std::uint64_t line = lines.first_after(begin); line < lines.count(); ++line) {
    const std::uint64_t start = lines.start(line);
    if (start >= end) {
      return;
    }
    const std::uint64_t from = std::max(begin, start);
    use({from, line * lines.length() + (from - start), std::min(end, start + lines.length()) - from});
  }
}

}  // namespace trireme::checkpoint
