// Checksums: XXH3-64 for files and parameters, CRC32C for formats that ask for it (TensorBoard's event files).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trireme {

// XXH3-64 (xxHash 0.8, seed 0) of bytes that arrive in pieces; how they are cut does not matter. One thread at a time.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(Xxh3&&) noexcept;
  Xxh3& operator=(Xxh3&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // The hash of everything so far; more may follow.
  std::uint64_t digest() const;
  // Starts again, without allocating.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::uint64_t xxh3(std::span<const std::byte> bytes);

// 16 lower-case hex digits.
std::string hash_text(std::uint64_t hash);

// CRC32C (Castagnoli, reflected polynomial 0x82F63B78) of `bytes`, going on from `crc` (the value of the bytes before).
// Uses the processor's instruction where there is one, found at run time.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
// The same in portable code: the fallback, and the tests' second opinion.
std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t crc = 0);

}  // namespace trireme
