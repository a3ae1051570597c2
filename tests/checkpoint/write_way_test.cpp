// The choice between the page cache and direct I/O.
#include "trireme/checkpoint/write_way.h"

#include <gtest/gtest.h>

namespace trireme::checkpoint {
namespace {

using std::chrono::milliseconds;
constexpr std::uint64_t kBytes = 100 << 20;

TEST(WriteWay, NewFilesGoTheDirectWayAndSmallOnesDoNot) {
  WriteWay way;
  EXPECT_TRUE(way.direct(kBytes, false));
  EXPECT_FALSE(way.direct(1000, false));
  EXPECT_FALSE(way.direct(1000, true));
  way.took(kBytes, false, milliseconds(900));
  EXPECT_TRUE(way.direct(kBytes, true)) << "a new file's time was taken for one that is overwritten";
}

TEST(WriteWay, EachWayIsTriedOnceAndTheFasterOneStays) {
  WriteWay way;
  EXPECT_TRUE(way.direct(kBytes, true));
  way.took(kBytes, true, milliseconds(100));
  EXPECT_FALSE(way.direct(kBytes, true));
  way.took(kBytes, true, milliseconds(60));
  EXPECT_FALSE(way.direct(kBytes, true));
  way.took(kBytes, true, milliseconds(500));  // a bad day changes nothing
  EXPECT_FALSE(way.direct(kBytes, true));
}

TEST(WriteWay, TheDirectWayStaysUnlessTheOtherIsClearlyFaster) {
  for (const int cached : {90, 100, 300}) {
    WriteWay way;
    way.took(kBytes, true, milliseconds(100));
    way.took(kBytes, true, milliseconds(cached));
    EXPECT_TRUE(way.direct(kBytes, true)) << cached;
  }
}

TEST(WriteWay, AClockThatStandsStillDecidesForTheDirectWay) {
  WriteWay way;
  way.took(kBytes, true, milliseconds(0));
  way.took(kBytes, true, milliseconds(0));
  EXPECT_TRUE(way.direct(kBytes, true));
}

}  // namespace
}  // namespace trireme::checkpoint
