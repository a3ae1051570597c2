#include "trireme/comm/store/wire.h"

#include "trireme/comm/store/store.h"
#include "trireme/core/base/error.h"

namespace trireme::comm::wire {
namespace {

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

template <class T>
T number_at(std::string_view bytes, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[offset + i])} << (8 * i);
  }
  return static_cast<T>(value);
}

std::string take(std::string_view bytes, std::size_t& offset, std::size_t count) {
  const std::string out(bytes.substr(offset, count));
  offset += count;
  return out;
}

}  // namespace

std::string encode_hello(std::string_view token) {
  std::string out(kMagic);
  put(out, kVersion);
  put(out, static_cast<std::uint16_t>(token.size()));
  return out.append(token);
}

std::string encode(const Request& request) {
  std::string out;
  put(out, static_cast<std::uint8_t>(request.command));
  put(out, request.number);
  put(out, static_cast<std::uint16_t>(request.key.size()));
  put(out, static_cast<std::uint32_t>(request.value.size()));
  put(out, request.expected ? static_cast<std::uint32_t>(request.expected->size()) : kAbsent);
  return out + request.key + request.value + request.expected.value_or("");
}

std::string encode(const Reply& reply) {
  std::string out;
  put(out, static_cast<std::uint8_t>(reply.status));
  put(out, reply.number);
  put(out, static_cast<std::uint32_t>(reply.text.size()));
  return out + reply.text;
}

std::optional<std::string> take_hello(std::string& buffer) {
  const std::size_t known = std::min(buffer.size(), kMagic.size());
  require(std::string_view(buffer).substr(0, known) == kMagic.substr(0, known),
          "store: the other side does not speak Trireme's store protocol");
  if (buffer.size() < kHelloBytes) {
    return std::nullopt;
  }
  const auto version = number_at<std::uint8_t>(buffer, kMagic.size());
  require(version == kVersion, "store: protocol version {} met, {} expected; start every rank from the same build",
          version, kVersion);
  const std::size_t bytes = number_at<std::uint16_t>(buffer, kMagic.size() + 1);
  require(bytes <= kMaxTokenBytes, "store: a job token of {} bytes met, at most {} expected", bytes, kMaxTokenBytes);
  if (buffer.size() < kHelloBytes + bytes) {
    return std::nullopt;
  }
  std::string token = buffer.substr(kHelloBytes, bytes);
  buffer.erase(0, kHelloBytes + bytes);
  return token;
}

std::optional<Request> take_request(std::string& buffer) {
  if (buffer.size() < kRequestBytes) {
    return std::nullopt;
  }
  const auto command = number_at<std::uint8_t>(buffer, 0);
  const std::size_t key = number_at<std::uint16_t>(buffer, 9);
  const std::size_t value = number_at<std::uint32_t>(buffer, 11);
  const auto expected = number_at<std::uint32_t>(buffer, 15);
  const std::size_t expected_bytes = expected == kAbsent ? 0 : expected;
  require(command <= static_cast<std::uint8_t>(Command::erase) && key >= 1 && key <= Store::kMaxKeyBytes &&
              value <= Store::kMaxValueBytes && expected_bytes <= Store::kMaxValueBytes,
          "store: request {} with a key of {}, a value of {} and an expected value of {} bytes is out of bounds",
          command, key, value, expected_bytes);
  const std::size_t total = kRequestBytes + key + value + expected_bytes;
  if (buffer.size() < total) {
    return std::nullopt;
  }
  Request out;
  std::size_t offset = kRequestBytes;
  out.command = static_cast<Command>(command);
  out.number = number_at<std::int64_t>(buffer, 1);
  out.key = take(buffer, offset, key);
  out.value = take(buffer, offset, value);
  if (expected != kAbsent) {
    out.expected = take(buffer, offset, expected_bytes);
  }
  buffer.erase(0, total);
  return out;
}

std::optional<Reply> take_reply(std::string& buffer) {
  if (buffer.size() < kReplyBytes) {
    return std::nullopt;
  }
  const auto status = number_at<std::uint8_t>(buffer, 0);
  const std::size_t bytes = number_at<std::uint32_t>(buffer, 9);
  require(status <= static_cast<std::uint8_t>(Status::error) && bytes <= Store::kMaxValueBytes,
          "store: the other side does not speak Trireme's store protocol");
  if (buffer.size() < kReplyBytes + bytes) {
    return std::nullopt;
  }
  Reply out{static_cast<Status>(status), number_at<std::int64_t>(buffer, 1), buffer.substr(kReplyBytes, bytes)};
  buffer.erase(0, kReplyBytes + bytes);
  return out;
}

}  // namespace trireme::comm::wire
