#include "trireme/strategies/parameter_server/wire/messages.h"

#include <limits>

#include "strategies/parameter_server/wire/wire.pb.h"
#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

constexpr auto kMostIndex = std::uint32_t{1} << 20;

template <class Message>
std::optional<Message> parse(std::string_view bytes) {
  Message message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  return message;
}

ArrayHead decode_array(const proto::ArrayHead& array) {
  constexpr auto kMostBytes = std::int64_t{1} << 46;
  const bool shape_ok = array.shape_size() <= kMaxDims && array.dtype() <= static_cast<unsigned>(DType::boolean);
  require(shape_ok, "wire: an array of dtype {} and {} dims announced, at most dtype {} and {} dims are expected",
          array.dtype(), array.shape_size(), static_cast<unsigned>(DType::boolean), kMaxDims);
  ArrayHead head;
  head.dtype = static_cast<DType>(array.dtype());
  auto bytes = static_cast<std::int64_t>(size_of(head.dtype));
  for (const std::int64_t dim : array.shape()) {
    require(dim >= 0 && (dim == 0 || bytes <= kMostBytes / dim), "wire: an array with a dim of {} announced", dim);
    bytes *= dim;
    head.shape.push_back(dim);
  }
  head.bytes = static_cast<std::size_t>(bytes);
  return head;
}

}  // namespace

std::string encode(const Address& address) {
  proto::Address message;
  message.set_shm(address.shm);
  message.set_host(address.host);
  message.set_grpc(address.grpc);
  message.set_tls(address.tls);
  message.set_incarnation(address.incarnation);
  return message.SerializeAsString();
}

std::string encode(const Hello& hello) {
  proto::Hello message;
  message.set_protocol(hello.protocol);
  message.set_role(static_cast<std::uint32_t>(hello.node.role));
  message.set_index(static_cast<std::uint32_t>(hello.node.index));
  message.set_token(hello.token);
  message.set_generation(hello.generation);
  message.set_incarnation(hello.incarnation);
  return message.SerializeAsString();
}

std::string encode(const Answer& answer) {
  proto::Answer message;
  message.set_protocol(answer.protocol);
  message.set_refusal(answer.refusal);
  message.set_crossing(answer.crossing);
  return message.SerializeAsString();
}

std::string encode_head(const Parcel& parcel) {
  proto::ParcelHead message;
  message.set_header(parcel.header);
  for (const Array& array : parcel.arrays) {
    proto::ArrayHead& head = *message.add_arrays();
    head.set_dtype(static_cast<std::uint32_t>(array.dtype()));
    for (const std::int64_t dim : array.shape()) {
      head.add_shape(dim);
    }
  }
  return message.SerializeAsString();
}

std::optional<Address> decode_address(std::string_view bytes) {
  const auto message = parse<proto::Address>(bytes);
  if (!message) {
    return std::nullopt;
  }
  return Address{message->shm(), message->host(), message->grpc(), message->tls(), message->incarnation()};
}

std::optional<Hello> decode_hello(std::string_view bytes) {
  const auto message = parse<proto::Hello>(bytes);
  if (!message || message->role() > static_cast<std::uint32_t>(Role::server) || message->index() >= kMostIndex) {
    return std::nullopt;
  }
  return Hello{message->protocol(),
               {static_cast<Role>(message->role()), static_cast<int>(message->index())},
               message->token(),
               message->generation(),
               message->incarnation()};
}

std::optional<Answer> decode_answer(std::string_view bytes) {
  const auto message = parse<proto::Answer>(bytes);
  if (!message) {
    return std::nullopt;
  }
  return Answer{message->protocol(), message->refusal(), message->crossing()};
}

ParcelHead decode_head(std::string_view bytes) {
  const auto message = parse<proto::ParcelHead>(bytes);
  require(message.has_value(), "wire: {} bytes arrived that are no parcel; do all processes run the same build?",
          bytes.size());
  const bool sizes_ok =
      message->header().size() <= kMaxHeaderBytes && static_cast<std::size_t>(message->arrays_size()) <= kMaxArrays;
  require(sizes_ok, "wire: a header of {} bytes and {} arrays announced, at most {} and {} are expected",
          message->header().size(), message->arrays_size(), kMaxHeaderBytes, kMaxArrays);
  ParcelHead head;
  head.header = message->header();
  for (const proto::ArrayHead& array : message->arrays()) {
    head.arrays.push_back(decode_array(array));
    head.bytes += head.arrays.back().bytes;
  }
  return head;
}

std::string name_of(Node node) {
  return fmt::format("{} {}", node.role == Role::worker ? "worker" : "server", node.index);
}

}  // namespace trireme::strategies::parameter_server::wire
