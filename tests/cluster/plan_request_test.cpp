#include "trireme/cluster/plan_request.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "trireme/core/base/error.h"

namespace trireme::cluster {
namespace {

class PlanRequestTest : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv(kPlanVariable); }
};

TEST_F(PlanRequestTest, WithoutTheVariableThereIsNone) { EXPECT_FALSE(PlanRequest::from_environment().has_value()); }

TEST_F(PlanRequestTest, ReadsWhatItWrites) {
  ::setenv(kPlanVariable, PlanRequest{16, 8, 7}.text().c_str(), 1);
  const auto request = PlanRequest::from_environment();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->ranks, 16);
  EXPECT_EQ(request->ranks_per_node, 8);
  EXPECT_EQ(request->reply_fd, 7);
}

TEST_F(PlanRequestTest, NonsenseIsAUsageError) {
  for (const char* text : {"", "4", "4 2", "0 1 5", "4 0 5", "4 2 -1", "4 2 5 6", "four 2 5"}) {
    ::setenv(kPlanVariable, text, 1);
    try {
      PlanRequest::from_environment();
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
    }
  }
}

TEST_F(PlanRequestTest, AReplyToNobodyIsNoCrash) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_TRUE((PlanRequest{1, 1, ends[1]}.reply("words\n")));
  char text[16];
  EXPECT_EQ(::read(ends[0], text, sizeof text), 6);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_FALSE((PlanRequest{1, 1, ends[1]}.reply("words\n")));
}

}  // namespace
}  // namespace trireme::cluster
