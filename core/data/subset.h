// A run of neighbouring items of another dataset: the part that is trained on, and the part that is held out.
#pragma once

#include <memory>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/data/dataset.h"

namespace trireme::data {

class Subset final : public Dataset {
 public:
  // Items [first, first + count) of `whole`. Raises Error (usage) if it does not have them.
  Subset(std::shared_ptr<const Dataset> whole, std::int64_t first, std::int64_t count)
      : whole_(std::move(whole)), first_(first), count_(count) {
    require_usage(first >= 0 && count >= 0 && first + count <= whole_->count(),
                  "data::Subset: items [{}, {}) given of a dataset of {}", first, first + count, whole_->count());
  }

  std::int64_t count() const override { return count_; }
  bool in_memory() const override { return whole_->in_memory(); }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override {
    thread_local std::vector<std::int64_t> shifted;  // keeps its capacity
    shifted.assign(items.begin(), items.end());
    for (std::int64_t& item : shifted) {
      item += first_;
    }
    whole_->fetch(shifted, batch);
  }

 private:
  std::shared_ptr<const Dataset> whole_;
  std::int64_t first_;
  std::int64_t count_;
};

}  // namespace trireme::data
