#include "trireme/strategies/parameter_server/wire/parcel_body.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server::wire {

bool BodyReader::at_end() {
  while (array_ < parcel_->arrays.size() && offset_ == parcel_->arrays[array_].bytes()) {
    ++array_;
    offset_ = 0;
  }
  return array_ == parcel_->arrays.size();
}

BodyReader::Piece BodyReader::next(std::size_t most) {
  if (at_end()) {
    return {};
  }
  const Array& array = parcel_->arrays[array_];
  const Piece piece{&array, array.bytes_data() + offset_, std::min(most, array.bytes() - offset_)};
  offset_ += piece.bytes;
  return piece;
}

void BodyWriter::begin(ParcelHead head, std::size_t most) {
  require(!begun_, "wire: a parcel begins before the one ahead of it is complete");
  require(head.bytes <= most, "wire: arrays of {} bytes announced, at most {} expected now", head.bytes, most);
  parcel_ = {.header = std::move(head.header), .arrays = {}};
  for (const ArrayHead& array : head.arrays) {
    parcel_.arrays.push_back(Array::empty(array.shape, array.dtype));
  }
  array_ = offset_ = 0;
  left_ = head.bytes;
  begun_ = true;
}

void BodyWriter::append(const std::byte* data, std::size_t bytes) {
  require(begun_ && bytes <= left_, "wire: {} bytes of arrays arrived, {} expected", bytes, begun_ ? left_ : 0);
  left_ -= bytes;
  while (bytes > 0) {
    const Array& array = parcel_.arrays[array_];
    const std::size_t now = std::min(bytes, array.bytes() - offset_);
    if (now > 0) {
      std::memcpy(array.bytes_data() + offset_, data, now);
    }
    data += now;
    bytes -= now;
    offset_ += now;
    if (offset_ == array.bytes()) {
      ++array_;
      offset_ = 0;
    }
  }
}

Parcel BodyWriter::take() {
  begun_ = false;
  return std::exchange(parcel_, {});
}

std::size_t bytes_of(const Parcel& parcel) {
  std::size_t bytes = parcel.header.size();
  for (const Array& array : parcel.arrays) {
    bytes += array.bytes();
  }
  return bytes;
}

}  // namespace trireme::strategies::parameter_server::wire
