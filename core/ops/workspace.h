// Scratch memory that a kernel keeps for each thread between calls, so that the steady state allocates nothing.
#pragma once

#include <cstddef>

#include "trireme/core/array/allocator.h"

namespace trireme::ops {

// Declare one `thread_local Workspace` for each independent use; its contents are undefined at every get().
class Workspace {
 public:
  Workspace() = default;
  ~Workspace() { drop(); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // `count` elements, aligned to 64; valid until the next get() of the same object. Grows, never shrinks.
  template <class T>
  T* get(std::size_t count) {
    if (count * sizeof(T) > bytes_) [[unlikely]] {
      grow(count * sizeof(T));
    }
    return static_cast<T*>(block_);
  }

 private:
  void grow(std::size_t bytes) {
    drop();
    block_ = pool_allocate(bytes);
    bytes_ = bytes;
  }
  void drop() noexcept {
    if (bytes_ != 0) {
      pool_free(block_, bytes_);
      bytes_ = 0;
    }
  }

  void* block_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace trireme::ops
