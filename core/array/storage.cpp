#include "trireme/core/array/storage.h"

#include <memory>
#include <new>

#include "trireme/core/array/allocator.h"
#include "trireme/core/array/array.h"

namespace trireme {

static_assert(sizeof(Storage) == 64, "the header takes one cache line, so that data after it stays aligned to 64");

struct Storage::Place {
  std::function<void()> absent;
  StorageRef memory;  // null: none is attached
};

Storage* Storage::make_header(std::size_t block_bytes) {
  auto* storage = new (pool_allocate(block_bytes)) Storage;
  storage->block_bytes_ = block_bytes;
  return storage;
}

StorageRef Storage::allocate(std::size_t bytes) {
  Storage* storage = make_header(sizeof(Storage) + bytes);
  storage->data_ = reinterpret_cast<std::byte*>(storage + 1);
  storage->bytes_ = bytes;
  return StorageRef(storage);
}

StorageRef Storage::adopt(void* data, std::size_t bytes, std::function<void()> release, Device device) {
  require(data != nullptr, "Storage::adopt: no memory given for {} bytes", bytes);
  auto kept = std::make_unique<std::function<void()>>(std::move(release));
  Storage* storage = make_header(sizeof(Storage));
  storage->data_ = static_cast<std::byte*>(data);
  storage->bytes_ = bytes;
  storage->device_ = device;
  storage->release_ = kept.release();
  return StorageRef(storage);
}

StorageRef Storage::place(std::size_t bytes, std::function<void()> absent, Device device) {
  auto place = std::make_unique<Place>(Place{std::move(absent), {}});
  Storage* storage = make_header(sizeof(Storage));
  storage->bytes_ = bytes;
  storage->device_ = device;
  storage->place_ = place.release();
  return StorageRef(storage);
}

void Storage::attach(const Array& memory) {
  require(is_place(), "Storage::attach: a storage with memory of its own was given other memory; use Storage::place()");
  if (!(memory.has_data() && !memory.storage()->is_place() && memory.is_contiguous() && memory.bytes() == bytes_ &&
        memory.device() == device_)) [[unlikely]] {
    fail(
        "Storage::attach: {} on {} given for a place of {} bytes on {}; a contiguous array of so many bytes expected, "
        "over memory that is no place itself",
        memory, name_of(memory.device()), bytes_, name_of(device_));
  }
  place_->memory = memory.storage();
  data_ = memory.bytes_data();
}

void Storage::detach() noexcept {
  if (is_place()) {
    data_ = nullptr;
    place_->memory = {};
  }
}

const StorageRef& Storage::memory() const { return place_->memory; }

void Storage::raise_absent() const {
  if (place_ != nullptr && place_->absent) {
    place_->absent();
  }
  fail("Array: its {} bytes have no memory now; attach some before they are used", bytes_);
}

void Storage::destroy() noexcept {
  if (release_ != nullptr) {
    (*release_)();
    delete release_;
  }
  delete place_;
  const std::size_t block_bytes = block_bytes_;
  this->~Storage();
  pool_free(this, block_bytes);
}

}  // namespace trireme
