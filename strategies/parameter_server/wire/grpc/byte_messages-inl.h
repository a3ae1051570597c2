// Parcels as messages of a gRPC stream, without Protobuf: arrays leave as slices over their own memory.
//
//   8 bytes   kind, then the head's length (little-endian)
//   head      of a parcel (ParcelHead)
//   bytes     of its arrays, as many as fit in kPieceBytes; the rest follows in further messages
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "trireme/strategies/parameter_server/wire/link.h"
#include "trireme/strategies/parameter_server/wire/parcel_body.h"

namespace trireme::strategies::parameter_server::wire {

inline constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxMessageBytes = kPieceBytes + kMaxHeadBytes + 8;

// One parcel on its way out, or a farewell.
class OutgoingMessages {
 public:
  explicit OutgoingMessages(Parcel&& parcel) : parcel_(std::move(parcel)), body_(parcel_) {}
  static std::unique_ptr<OutgoingMessages> farewell();
  OutgoingMessages(const OutgoingMessages&) = delete;
  OutgoingMessages& operator=(const OutgoingMessages&) = delete;

  grpc::ByteBuffer next();
  bool at_end() { return begun_ && body_.at_end(); }
  bool is_farewell() const { return farewell_; }
  std::size_t bytes() const { return bytes_of(parcel_); }

 private:
  Parcel parcel_;
  BodyReader body_;
  bool begun_ = false;
  bool farewell_ = false;
};

// Tells the handler of the parcel that this message completes, if it does. True: it was a farewell. Raises Error on
// bytes that are no such message. Slices of gRPC begin anywhere in memory and are cut by HTTP/2's frames, so arrays
// cannot lie over them: their bytes are copied once.
bool take_message(const grpc::ByteBuffer& message, BodyWriter& body, LinkHandler& handler);

}  // namespace trireme::strategies::parameter_server::wire
