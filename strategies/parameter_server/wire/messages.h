// The small messages of the wire (wire.proto) as plain values. Bytes from a peer are checked here, in full: what decode
// gives can be used as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/base/dtype.h"
#include "trireme/core/base/shape.h"
#include "trireme/strategies/parameter_server/wire/endpoint.h"

namespace trireme::strategies::parameter_server::wire {

struct Address {
  std::string shm = {};
  std::string host = {};
  std::string grpc = {};
  bool tls = false;
  std::uint64_t incarnation = 0;
};

struct Hello {
  std::uint32_t protocol = 0;
  Node node = {};
  std::string token = {};
  std::string generation = {};
  std::uint64_t incarnation = 0;
};

struct Answer {
  std::uint32_t protocol = 0;
  std::string refusal = {};
  bool crossing = false;
};

struct ArrayHead {
  Shape shape;
  DType dtype = DType::f32;
  std::size_t bytes = 0;
};

struct ParcelHead {
  std::string header = {};
  std::vector<ArrayHead> arrays = {};
  std::size_t bytes = 0;  // of all arrays
};

inline constexpr std::size_t kMaxArrays = 1 << 16;
// Of an encoded ParcelHead.
inline constexpr std::size_t kMaxHeadBytes = kMaxHeaderBytes + kMaxArrays * 80;

std::string encode(const Address& address);
std::string encode(const Hello& hello);
std::string encode(const Answer& answer);
std::string encode_head(const Parcel& parcel);

// Nothing: these bytes are no such message.
std::optional<Address> decode_address(std::string_view bytes);
std::optional<Hello> decode_hello(std::string_view bytes);
std::optional<Answer> decode_answer(std::string_view bytes);
// Raises Error saying what is wrong with them.
ParcelHead decode_head(std::string_view bytes);

// "worker 3", "server 0".
std::string name_of(Node node);

}  // namespace trireme::strategies::parameter_server::wire
