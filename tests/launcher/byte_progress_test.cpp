#include "trireme/launcher/byte_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme::launcher {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

TEST(ByteProgress, TheBarShowsBytesRateAndTimeLeft) {
  EXPECT_EQ(render_bytes("verify x", {kGib, 4 * kGib, 8}, 80, false),
            "verify x [======>                    ] 1.0 GiB of 4.0 GiB  128.0 MiB/s  24s left");
  EXPECT_EQ(render_bytes("verify x", {kGib, 4 * kGib, 8}, 0, false),
            "verify x  1.0 GiB of 4.0 GiB  128.0 MiB/s  24s left");
}

TEST(ByteProgress, TheBarNeverIsWiderThanTheTerminal) {
  for (int width = 1; width < 200; ++width) {
    EXPECT_LE(static_cast<int>(render_bytes("verify x", {kGib, 4 * kGib, 8}, width, false).size()), width);
  }
}

TEST(ByteProgress, ABarIsDrawnAndTakenAwayAndShortWorkShowsNothing) {
  testing::internal::CaptureStderr();
  {
    ByteProgress progress(training::ProgressMode::bar, "merge", 100);
    progress.advance(50);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  training::ProgressLine line(training::ProgressMode::bar);
  testing::internal::CaptureStderr();
  line.show("half", {});
  line.clear();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\rhalf\033[K\r\033[K");
}

}  // namespace
}  // namespace trireme::launcher
