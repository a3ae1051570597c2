// Builds without Gloo and Open MPI: what their connect functions say then. This program has the stand-ins of both in
// place of the library's backends (tests/CMakeLists.txt).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trireme/comm/gloo/gloo.h"
#include "trireme/comm/mpi/mpi.h"
#include "trireme/core/base/error.h"

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

}  // namespace
}  // namespace trireme::test
