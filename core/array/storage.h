// Storage: one reference-counted block of bytes under any number of Arrays.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>

#include "trireme/core/base/device.h"

namespace trireme {

class Array;
class StorageRef;

class alignas(64) Storage {
 public:
  // A block of the arena; contents undefined.
  static StorageRef allocate(std::size_t bytes);
  // Memory that someone else made (shared memory, a mapped file): `release` runs when the last Array is gone.
  static StorageRef adopt(void* data, std::size_t bytes, std::function<void()> release, Device device = {});
  // A place for `bytes` bytes, without memory. Arrays over it stay what they are while memory comes and goes below them
  // (a sharded parameter's whole value). Who asks such an Array for its elements while there is no memory runs
  // `absent`, which raises an Error that says whose place it is and what to do.
  static StorageRef place(std::size_t bytes, std::function<void()> absent, Device device = {});

  // Gives a place memory, the elements of `memory` (contiguous, as many bytes, itself no place), in exchange for what
  // it had. The place keeps that memory alive. No allocation. The thread that uses the Arrays.
  void attach(const Array& memory);
  // Takes the memory away; pointers to its elements dangle if nobody else holds it (Array::pinned()).
  void detach() noexcept;
  bool is_place() const { return place_ != nullptr; }

  // Null: a place without memory.
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  // True while exactly one Array refers to it: an op that consumes it may write in place.
  bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

 private:
  friend class StorageRef;
  Storage() = default;
  ~Storage() = default;
  struct Place;
  friend class Array;
  static Storage* make_header(std::size_t block_bytes);
  void destroy() noexcept;
  const StorageRef& memory() const;  // REQUIRES: a place
  [[noreturn]] void raise_absent() const;

  std::atomic<unsigned> references_{1};
  Device device_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t block_bytes_ = 0;               // of the arena block that holds this header (and the data)
  std::function<void()>* release_ = nullptr;  // only for adopted memory
  Place* place_ = nullptr;                    // only for places
};

// Shared ownership of a Storage; null when default-made. Copying is one atomic increment.
class StorageRef {
 public:
  StorageRef() = default;
  explicit StorageRef(Storage* owned) : storage_(owned) {}
  StorageRef(const StorageRef& other) : storage_(other.storage_) {
    if (storage_ != nullptr) {
      storage_->references_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  StorageRef(StorageRef&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StorageRef& operator=(StorageRef other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StorageRef() {
    // The last owner needs no atomic write: nobody else can make a reference from none.
    if (storage_ != nullptr &&
        (storage_->unique() || storage_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)) {
      storage_->destroy();
    }
  }

  Storage* get() const { return storage_; }
  Storage* operator->() const { return storage_; }
  explicit operator bool() const { return storage_ != nullptr; }

 private:
  Storage* storage_ = nullptr;
};

}  // namespace trireme
