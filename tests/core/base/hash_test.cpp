// Checksums against published values, against a second implementation, and however the bytes are cut.
#include "trireme/core/base/hash.h"

#include <gtest/gtest.h>

#include <random>

namespace trireme {
namespace {

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(generator());
  }
  return bytes;
}

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Hash, Xxh3HasThePublishedValues) {
  EXPECT_EQ(xxh3({}), 0x2D06800538D394C2u);  // the specification's value for empty input, seed 0
  EXPECT_EQ(hash_text(xxh3(as_bytes("abc"))), "78af5f94892f3950");
}

TEST(Hash, Xxh3OfPiecesIsThatOfTheWhole) {
  const std::vector<std::byte> bytes = random_bytes(3000, 1);
  const std::span<const std::byte> all(bytes);
  for (const std::size_t cut : {0u, 1u, 7u, 64u, 255u, 256u, 257u, 1024u, 2999u, 3000u}) {
    Xxh3 hash;
    hash.update(all.first(cut));
    hash.update(all.subspan(cut));
    EXPECT_EQ(hash.digest(), xxh3(bytes)) << cut;
    hash.reset();
    hash.update(all.first(cut));
    EXPECT_EQ(hash.digest(), xxh3(all.first(cut))) << cut;
  }
}

TEST(Hash, TextHasSixteenDigits) { EXPECT_EQ(hash_text(0xabcu), "0000000000000abc"); }

TEST(Hash, Crc32cHasTheCheckValueOfItsDefinition) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c_portable(as_bytes("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c({}), 0u);
  const std::vector<std::byte> zeros(32);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
}

TEST(Hash, Crc32cIsTheSameInHardwareAndSoftwareAndInPieces) {
  const std::vector<std::byte> bytes = random_bytes(1000, 2);
  for (std::size_t length = 0; length <= 100; ++length) {
    for (std::size_t at = 0; at < 9; ++at) {
      const auto part = std::span(bytes).subspan(at, length);
      ASSERT_EQ(crc32c(part), crc32c_portable(part)) << at << " " << length;
      ASSERT_EQ(crc32c(part.subspan(length / 3), crc32c(part.first(length / 3))), crc32c(part)) << at << " " << length;
    }
  }
}

}  // namespace
}  // namespace trireme
