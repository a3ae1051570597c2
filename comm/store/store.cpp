#include "trireme/comm/store/store.h"

#include <charconv>

#include "trireme/core/base/error.h"

namespace trireme::comm {

void check_store_entry(std::string_view key, std::string_view value) {
  require(!key.empty() && key.size() <= Store::kMaxKeyBytes, "store: a key of {} bytes given, 1 to {} expected",
          key.size(), Store::kMaxKeyBytes);
  require(value.size() <= Store::kMaxValueBytes, "store: a value of {} bytes given for \"{}\", at most {} expected",
          value.size(), key, Store::kMaxValueBytes);
}

std::int64_t parse_counter(std::string_view key, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size(), "store: \"{}\" holds \"{}\", a counter expected",
          key, text.substr(0, 40));
  return value;
}

void store_timeout(std::string_view key, std::chrono::milliseconds timeout, std::string_view where) {
  fail("store: nobody has set \"{}\" within {} ms ({}); is every rank running?", key, timeout.count(), where);
}

}  // namespace trireme::comm
