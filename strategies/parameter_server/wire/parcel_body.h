// The arrays of a parcel as one run of bytes, cut into pieces by the sender and put together again by the receiver.
#pragma once

#include <cstddef>

#include "trireme/strategies/parameter_server/wire/messages.h"

namespace trireme::strategies::parameter_server::wire {

// Goes over the arrays' bytes once. The parcel must stay where it is.
class BodyReader {
 public:
  struct Piece {
    const Array* array = nullptr;  // that the bytes belong to; null: the end
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
  };

  explicit BodyReader(const Parcel& parcel) : parcel_(&parcel) {}
  // At most `most` bytes, of one array.
  Piece next(std::size_t most);
  bool at_end();

 private:
  const Parcel* parcel_;
  std::size_t array_ = 0;
  std::size_t offset_ = 0;
};

// Copies pieces into arrays of its own, in the order in which they were cut.
class BodyWriter {
 public:
  // Allocates the arrays. Raises Error if they have more than `most` bytes.
  void begin(ParcelHead head, std::size_t most);
  bool begun() const { return begun_; }
  // Raises Error if these are more bytes than were announced, or no parcel has begun.
  void append(const std::byte* data, std::size_t bytes);
  bool complete() const { return begun_ && left_ == 0; }
  // REQUIRES: complete().
  Parcel take();

 private:
  Parcel parcel_;
  std::size_t array_ = 0;
  std::size_t offset_ = 0;
  std::size_t left_ = 0;
  bool begun_ = false;
};

// Of header and arrays.
std::size_t bytes_of(const Parcel& parcel);

}  // namespace trireme::strategies::parameter_server::wire
