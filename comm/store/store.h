// Store: a small shared dictionary through which ranks find each other at start. Not for tensor bytes.
//
// Keys are short texts ("shm/rank/3"), values at most a megabyte. All methods may be called from any thread; each
// raises Error when the store cannot be reached.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::comm {

class Store {
 public:
  static constexpr std::size_t kMaxKeyBytes = 1024;
  static constexpr std::size_t kMaxValueBytes = 1 << 20;

  virtual ~Store() = default;

  virtual void set(std::string_view key, std::string_view value) = 0;
  // Nothing if the key has no value yet.
  virtual std::optional<std::string> try_get(std::string_view key) = 0;
  // Blocks until the key has a value; raises Error naming the key when `timeout` passes first.
  virtual std::string get(std::string_view key, std::chrono::milliseconds timeout) = 0;
  // Adds to a counter, which begins at 0 and is kept as decimal text; returns the new value.
  virtual std::int64_t add(std::string_view key, std::int64_t delta) = 0;
  // Sets the value if the present one is `expected` (nothing: the key has none); returns whether it did.
  virtual bool compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                               std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
};

// Raises Error if the key or the value is too long for a store.
void check_store_entry(std::string_view key, std::string_view value);
// The counter that `text` holds; raises Error naming the key if it holds something else.
std::int64_t parse_counter(std::string_view key, std::string_view text);
[[noreturn]] void store_timeout(std::string_view key, std::chrono::milliseconds timeout, std::string_view where);

}  // namespace trireme::comm
