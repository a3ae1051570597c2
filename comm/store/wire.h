// The bytes between TcpStore and TcpStoreServer. Integers are little-endian.
//
//   hello     "TRSTORE" u8 version  u16 token bytes  token
//   request   u8 command  i64 number  u16 key bytes  u32 value bytes  u32 expected bytes  key value expected
//   reply     u8 status  i64 number  u32 text bytes  text
//
// The server answers the hello and every request with one reply. `expected` belongs to compare_and_set alone; its
// length kAbsent means "no value". All lengths are checked against the limits below before anything is read into
// memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::comm::wire {

inline constexpr std::string_view kMagic = "TRSTORE";
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kMaxTokenBytes = 256;
inline constexpr std::uint32_t kAbsent = 0xffffffffu;
inline constexpr std::size_t kHelloBytes = 10;
inline constexpr std::size_t kRequestBytes = 19;
inline constexpr std::size_t kReplyBytes = 13;

enum class Command : std::uint8_t { set, try_get, wait, add, compare_and_set, erase };
enum class Status : std::uint8_t { ok, absent, error };

struct Request {
  Command command = Command::set;
  std::int64_t number = 0;
  std::string key;
  std::string value;
  std::optional<std::string> expected;
};
struct Reply {
  Status status = Status::ok;
  std::int64_t number = 0;
  std::string text;
};

std::string encode_hello(std::string_view token);
std::string encode(const Request& request);
std::string encode(const Reply& reply);

// Each takes one whole message off the front of `buffer`: nothing if it is not complete yet. Raises Error on bytes that
// are no such message, saying what is wrong.
std::optional<std::string> take_hello(std::string& buffer);  // the token
std::optional<Request> take_request(std::string& buffer);
std::optional<Reply> take_reply(std::string& buffer);

}  // namespace trireme::comm::wire
