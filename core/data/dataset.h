// Dataset: a numbered set of items. Order, batches and ranks are the Loader's business.
#pragma once

#include <cstdint>
#include <span>

#include "trireme/core/data/batch.h"

namespace trireme::data {

class Dataset {
 public:
  virtual ~Dataset() = default;

  // Items are numbered from 0. Constant.
  virtual std::int64_t count() const = 0;
  // Fills the batch's arrays with these items (make_room() recycles them) and sets batch.items.
  // REQUIRES: 0 <= item < count(). Threads: may be called from several at once, with different batches. Raises Error if
  // the source fails.
  virtual void fetch(std::span<const std::int64_t> items, Batch& batch) const = 0;
  // True if fetch() only copies from memory, so that fetching ahead on another thread does not pay.
  virtual bool in_memory() const { return true; }

 protected:
  Dataset() = default;
  Dataset(const Dataset&) = default;
  Dataset(Dataset&&) = default;
  Dataset& operator=(const Dataset&) = default;
  Dataset& operator=(Dataset&&) = default;
};

}  // namespace trireme::data
