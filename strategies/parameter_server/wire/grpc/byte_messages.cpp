#include <cstring>

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/grpc/byte_messages-inl.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

enum class Kind : std::uint32_t { parcel = 1, piece, farewell };

struct Prefix {
  Kind kind = Kind::piece;
  std::uint32_t head_bytes = 0;
};
constexpr std::size_t kPrefixBytes = 8;

void put(std::string& text, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) {
    text += static_cast<char>(number >> shift);
  }
}

std::uint32_t number_at(const std::string& text, std::size_t offset) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    number |= std::uint32_t{static_cast<unsigned char>(text[offset + i])} << (8 * i);
  }
  return number;
}

// The array lives until gRPC has sent the last of its bytes.
grpc::Slice slice_of(const BodyReader::Piece& piece) {
  return {const_cast<std::byte*>(piece.data), piece.bytes, [](void* array) { delete static_cast<Array*>(array); },
          new Array(*piece.array)};
}

class Slices {
 public:
  explicit Slices(const grpc::ByteBuffer& message) {
    require(message.Dump(&slices_).ok(), "wire: a message of gRPC cannot be read");
  }

  std::string take(std::size_t bytes) {
    std::string text;
    take(bytes,
         [&](const std::byte* data, std::size_t count) { text.append(reinterpret_cast<const char*>(data), count); });
    require(text.size() == bytes, "wire: a message ended after {} bytes, {} expected", text.size(), bytes);
    return text;
  }
  template <class Use>
  void take(std::size_t bytes, Use use) {
    while (bytes > 0 && next_ < slices_.size()) {
      const grpc::Slice& slice = slices_[next_];
      const std::size_t now = std::min(bytes, slice.size() - offset_);
      if (now > 0) {
        use(reinterpret_cast<const std::byte*>(slice.begin()) + offset_, now);
      }
      bytes -= now;
      offset_ += now;
      if (offset_ == slice.size()) {
        ++next_;
        offset_ = 0;
      }
    }
  }

 private:
  std::vector<grpc::Slice> slices_;
  std::size_t next_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace

std::unique_ptr<OutgoingMessages> OutgoingMessages::farewell() {
  auto farewell = std::make_unique<OutgoingMessages>(Parcel{});
  farewell->farewell_ = true;
  return farewell;
}

grpc::ByteBuffer OutgoingMessages::next() {
  const bool first = !std::exchange(begun_, true);
  const std::string head = first && !farewell_ ? encode_head(parcel_) : std::string();
  std::string prefix;
  put(prefix, static_cast<std::uint32_t>(farewell_ ? Kind::farewell : first ? Kind::parcel : Kind::piece));
  put(prefix, static_cast<std::uint32_t>(head.size()));
  std::vector<grpc::Slice> slices = {grpc::Slice(prefix + head)};
  for (std::size_t left = kPieceBytes; left > 0;) {
    const BodyReader::Piece piece = body_.next(left);
    if (piece.array == nullptr) {
      break;
    }
    slices.push_back(slice_of(piece));
    left -= piece.bytes;
  }
  return {slices.data(), slices.size()};
}

bool take_message(const grpc::ByteBuffer& message, BodyWriter& body, LinkHandler& handler) {
  Slices slices(message);
  const std::string prefix = slices.take(kPrefixBytes);
  const auto kind = static_cast<Kind>(number_at(prefix, 0));
  const std::size_t head_bytes = number_at(prefix, 4);
  require(kind >= Kind::parcel && kind <= Kind::farewell && head_bytes <= kMaxHeadBytes,
          "wire: a message of kind {} with a head of {} bytes arrived", static_cast<std::uint32_t>(kind), head_bytes);
  if (kind == Kind::farewell) {
    return true;
  }
  if (kind == Kind::parcel) {
    body.begin(decode_head(slices.take(head_bytes)), handler.most_bytes());
  }
  slices.take(message.Length(), [&](const std::byte* data, std::size_t bytes) { body.append(data, bytes); });
  if (body.complete()) {
    handler.on_parcel(body.take());
  }
  return false;
}

}  // namespace trireme::strategies::parameter_server::wire
