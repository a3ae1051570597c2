// The small messages: what decode gives back, and bytes that no honest peer sends. Who is refused, and how it is told.
#include "trireme/strategies/parameter_server/wire/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/strategies/parameter_server/wire/nodes.h"
#include "tests/support/error_of.h"
#include "trireme/strategies/parameter_server/wire/greeting.h"
#include "trireme/strategies/parameter_server/wire/parcel_body.h"

namespace trireme::test {
namespace {

namespace wire = strategies::parameter_server::wire;
using testing::HasSubstr;

// A ParcelHead with one array, in Protobuf's wire format, whose dims need not be possible.
std::string head_with(unsigned dtype, const std::vector<std::int64_t>& dims) {
  const auto varint = [](std::uint64_t value) {
    std::string text;
    for (; value >= 0x80; value >>= 7) {
      text += static_cast<char>(value | 0x80);
    }
    return text + static_cast<char>(value);
  };
  std::string shape;
  for (const std::int64_t dim : dims) {
    shape += varint(static_cast<std::uint64_t>(dim));
  }
  const std::string array = "\x08" + varint(dtype) + "\x12" + varint(shape.size()) + shape;
  return "\x12" + varint(array.size()) + array;
}

TEST(WireMessages, AHeadSaysWhatTheArraysAre) {
  const Parcel parcel{"header",
                      {Array::zeros({2, 3}, DType::bf16), Array::zeros({}, DType::i64), Array::zeros({0, 4})}};
  const wire::ParcelHead head = wire::decode_head(wire::encode_head(parcel));
  EXPECT_EQ(head.header, "header");
  ASSERT_EQ(head.arrays.size(), 3u);
  EXPECT_EQ(head.arrays[0].shape, (Shape{2, 3}));
  EXPECT_EQ(head.arrays[0].dtype, DType::bf16);
  EXPECT_EQ(head.arrays[1].bytes, 8u);
  EXPECT_EQ(head.arrays[2].shape, (Shape{0, 4}));
  EXPECT_EQ(head.bytes, 20u);
  EXPECT_EQ(wire::decode_head(head_with(0, {2, 3})).bytes, 24u) << "this test's own encoding";
}

TEST(WireMessages, ImpossibleArraysAreRefused) {
  const auto error = [](unsigned dtype, const std::vector<std::int64_t>& dims) {
    return error_of([&] { wire::decode_head(head_with(dtype, dims)); });
  };
  EXPECT_THAT(error(8, {1}), HasSubstr("dtype 8"));
  EXPECT_THAT(error(0, {1, 1, 1, 1, 1, 1, 1}), HasSubstr("7 dims"));
  EXPECT_THAT(error(0, {-1}), HasSubstr("a dim of -1"));
  EXPECT_THAT(error(0, {1ll << 40, 1ll << 40}), HasSubstr("a dim of"));
  EXPECT_THAT(error(1, {1ll << 32, 1ll << 31}), HasSubstr("a dim of")) << "2^66 bytes";
}

TEST(WireMessages, RandomBytesAreRefusedOrHarmless) {
  std::mt19937 random(7);
  const std::string good = wire::encode_head({"h", {Array::zeros({5, 6}), Array::zeros({7})}});
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (unsigned flips = random() % 4 + 1; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    error_of([&] {
      const auto head = wire::decode_head(bytes);
      EXPECT_LE(head.header.size(), strategies::parameter_server::kMaxHeaderBytes);
      EXPECT_LE(head.arrays.size(), wire::kMaxArrays);
      for (const auto& array : head.arrays) {
        EXPECT_LE(array.shape.dims(), kMaxDims);
      }
    });
    if (const auto hello = wire::decode_hello(bytes)) {
      EXPECT_GE(hello->node.index, 0);
    }
    wire::decode_answer(bytes);
    wire::decode_address(bytes);
  }
}

TEST(ParcelBody, GoesThroughPiecesOfAnySize) {
  const Parcel parcel{"h", {pattern({7}, DType::u8, 1), pattern({0}, DType::f32, 2), pattern({100}, DType::f64, 3)}};
  for (const std::size_t most : {1u, 3u, 8u, 1000u}) {
    wire::BodyReader reader(parcel);
    wire::BodyWriter writer;
    writer.begin(wire::decode_head(wire::encode_head(parcel)), 807);
    while (!reader.at_end()) {
      const wire::BodyReader::Piece piece = reader.next(most);
      writer.append(piece.data, piece.bytes);
    }
    ASSERT_TRUE(writer.complete());
    const Parcel copy = writer.take();
    ASSERT_EQ(copy.arrays.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(same_bytes(copy.arrays[i], parcel.arrays[i]));
    }
  }
}

TEST(ParcelBody, MoreBytesThanAnnouncedAreRefused) {
  const std::byte bytes[9] = {};
  wire::BodyWriter writer;
  EXPECT_THAT(error_of([&] { writer.append(bytes, 1); }), HasSubstr("1 bytes of arrays arrived, 0 expected"));
  writer.begin(wire::decode_head(head_with(0, {2})), 8);
  EXPECT_THAT(error_of([&] { writer.append(bytes, 9); }), HasSubstr("9 bytes of arrays arrived, 8 expected"));
  EXPECT_THAT(error_of([&] { wire::BodyWriter().begin(wire::decode_head(head_with(0, {2})), 7); }),
              HasSubstr("arrays of 8 bytes announced, at most 7"));
}

struct GreetingCase {
  const char* name;
  std::function<void(wire::Hello&)> change;
  const char* refusal;  // part of it
};

class Greeting : public testing::TestWithParam<GreetingCase> {};

TEST_P(Greeting, IsRefusedForWhatDoesNotFit) {
  const WireOptions server_options{.self = server(1), .workers = 3, .servers = 2, .generation = "4", .token = "secret"};
  WireOptions caller = server_options;
  caller.self = worker(2);
  wire::Hello hello = wire::hello_of(caller, 5);
  GetParam().change(hello);
  const auto decoded = wire::decode_hello(wire::encode(hello));
  ASSERT_TRUE(decoded.has_value());
  const std::string refusal = wire::refusal_of(*decoded, server_options);
  EXPECT_EQ(refusal.empty(), *GetParam().refusal == '\0') << refusal;
  EXPECT_THAT(refusal, HasSubstr(GetParam().refusal));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Greeting,
    testing::Values(
        GreetingCase{"worker", [](wire::Hello&) {}, ""},
        GreetingCase{"server", [](wire::Hello& hello) { hello.node = server(0); }, ""},
        GreetingCase{"protocol", [](wire::Hello& hello) { hello.protocol = 9; },
                     "server 1 speaks version 1 of the wire's protocol, worker 2 speaks version 9"},
        GreetingCase{"token", [](wire::Hello& hello) { hello.token = "secreT"; }, "wrong job token"},
        GreetingCase{"no_token", [](wire::Hello& hello) { hello.token = ""; }, "wrong job token"},
        GreetingCase{"longer_token", [](wire::Hello& hello) { hello.token += "!"; }, "wrong job token"},
        GreetingCase{"generation", [](wire::Hello& hello) { hello.generation = "3"; },
                     "server 1 belongs to generation 4 of the job, worker 2 to generation 3"},
        GreetingCase{"too_many_workers", [](wire::Hello& hello) { hello.node.index = 3; }, "3 workers and 2 servers"},
        GreetingCase{"too_many_servers", [](wire::Hello& hello) { hello.node = server(2); }, "server 2 called"},
        GreetingCase{"itself", [](wire::Hello& hello) { hello.node = server(1); }, "two processes are server 1"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace trireme::test
