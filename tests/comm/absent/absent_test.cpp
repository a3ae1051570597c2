// Builds without Gloo, Open MPI and gRPC: what their connect functions say then. This program has the stand-ins of all
// three in place of the library's backends (tests/CMakeLists.txt).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"
#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::test {
namespace {

template <class F>
std::string usage_error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "no error";
}

TEST(AbsentBackends, SayWhichPackageBringsThem) {
  EXPECT_FALSE(comm::has_gloo());
  EXPECT_FALSE(comm::has_mpi());
  const std::string gloo = usage_error_of([] { comm::connect_gloo(0, 1, nullptr); });
  EXPECT_THAT(gloo, testing::HasSubstr("libgloo-dev"));
  EXPECT_THAT(gloo, testing::HasSubstr("-DTRIREME_WITH_GLOO=ON"));
  const std::string mpi = usage_error_of([] { comm::connect_mpi(); });
  EXPECT_THAT(mpi, testing::HasSubstr("libopenmpi-dev"));
  EXPECT_THAT(mpi, testing::HasSubstr("-DTRIREME_WITH_MPI=ON"));
}

TEST(AbsentBackends, WithoutGrpcSharedMemoryStillConnectsWorkersAndServers) {
  using namespace strategies::parameter_server;
  EXPECT_FALSE(has_grpc());
  const TempDir folder;
  WireOptions options{.self = {Role::server, 0}, .workers = 1, .servers = 1};
  options.store = std::make_shared<comm::FileStore>(folder / "store");
  const auto in_a_minute = [] { return std::chrono::steady_clock::now() + std::chrono::minutes(1); };
  const auto server = open_wire(options);
  options.self = {Role::worker, 0};
  const auto worker = open_wire(options);
  EXPECT_TRUE(worker->send({Role::server, 0}, {"hello", {}}, in_a_minute()));
  EXPECT_EQ(server->receive(in_a_minute()).parcel.header, "hello");
  options.carrier = "grpc";
  const std::string grpc = usage_error_of([&] { open_wire(options); });
  EXPECT_THAT(grpc, testing::HasSubstr("libgrpc++-dev"));
  EXPECT_THAT(grpc, testing::HasSubstr("-DTRIREME_WITH_GRPC=ON"));
}

}  // namespace
}  // namespace trireme::test
