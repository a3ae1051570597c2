// Buffers of whole units that come and go: a few sizes, each made when more are needed at once than ever before.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::strategies {

class BufferPool {
 public:
  BufferPool(std::shared_ptr<comm::Communicator> communicator, DType dtype)
      : communicator_(std::move(communicator)), dtype_(dtype) {}

  // Contents undefined, where collectives reach it without a copy.
  Array take(std::int64_t elements) {
    Shelf& shelf = shelf_of(elements);
    if (shelf.free.empty()) {
      bytes_ += elements * static_cast<std::int64_t>(size_of(dtype_));
      shelf.free.reserve(++shelf.made);  // so that give() never allocates
      return communicator_->allocate({elements}, dtype_);
    }
    Array buffer = std::move(shelf.free.back());
    shelf.free.pop_back();
    return buffer;
  }
  // REQUIRES: take() gave it, and nothing uses it any more.
  void give(Array buffer) noexcept {
    const std::int64_t elements = buffer.count();
    for (Shelf& shelf : shelves_) {
      if (shelf.elements == elements) {
        shelf.free.push_back(std::move(buffer));
        return;
      }
    }
  }
  std::int64_t bytes() const { return bytes_; }  // of all buffers made

 private:
  struct Shelf {
    std::int64_t elements = 0;
    std::size_t made = 0;
    std::vector<Array> free = {};
  };
  Shelf& shelf_of(std::int64_t elements) {
    const auto found = std::ranges::find_if(shelves_, [&](const Shelf& shelf) { return shelf.elements == elements; });
    return found != shelves_.end() ? *found : shelves_.emplace_back(Shelf{elements});
  }

  std::shared_ptr<comm::Communicator> communicator_;
  DType dtype_;
  std::vector<Shelf> shelves_;
  std::int64_t bytes_ = 0;
};

}  // namespace trireme::strategies
