#include "trireme/core/array/storage.h"

#include <new>

#include "trireme/core/array/allocator.h"

namespace trireme {

static_assert(sizeof(Storage) == 64, "the header takes one cache line, so that data after it stays aligned to 64");

StorageRef Storage::allocate(std::size_t bytes) {
  const std::size_t block_bytes = sizeof(Storage) + bytes;
  auto* storage = new (pool_allocate(block_bytes)) Storage;
  storage->data_ = reinterpret_cast<std::byte*>(storage + 1);
  storage->bytes_ = bytes;
  storage->block_bytes_ = block_bytes;
  return StorageRef(storage);
}

StorageRef Storage::adopt(void* data, std::size_t bytes, std::function<void()> release, Device device) {
  auto* storage = new (pool_allocate(sizeof(Storage))) Storage;
  storage->data_ = static_cast<std::byte*>(data);
  storage->bytes_ = bytes;
  storage->block_bytes_ = sizeof(Storage);
  storage->device_ = device;
  storage->release_ = new std::function<void()>(std::move(release));
  return StorageRef(storage);
}

void Storage::destroy() noexcept {
  if (release_ != nullptr) {
    (*release_)();
    delete release_;
  }
  const std::size_t block_bytes = block_bytes_;
  this->~Storage();
  pool_free(this, block_bytes);
}

}  // namespace trireme
