#include "trireme/training/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "trireme/core/base/error.h"

namespace trireme::training {
namespace {

const ProgressState kHalf{
    .steps_done = 50, .steps_total = 100, .loss = 3.21705, .items_per_second = 12400, .seconds_left = 65};

TEST(Progress, TheBarShowsStepLossRateAndTimeLeft) {
  EXPECT_EQ(render_bar(kHalf, {.width = 80}),
            "step  50/100 [============>           ] loss 3.2170  12.4k tokens/s  1m05s left");
}

TEST(Progress, TheBarNeverIsWiderThanTheTerminal) {
  for (int width = 0; width < 200; ++width) {
    EXPECT_LE(static_cast<int>(render_bar(kHalf, {.width = width}).size()), width) << width;
  }
  EXPECT_EQ(render_bar(kHalf, {.width = 12}), "step  50/100");
}

TEST(Progress, TheBarIsEmptyAtTheStartAndFullAtTheEnd) {
  ProgressState state = kHalf;
  state.steps_done = 0;
  EXPECT_THAT(render_bar(state, {.width = 80}), testing::HasSubstr("[>   "));
  state.steps_done = 100;
  EXPECT_THAT(render_bar(state, {.width = 80}), testing::HasSubstr("====]"));
  state.steps_done = 150;  // more than was planned
  EXPECT_THAT(render_bar(state, {.width = 80}), testing::HasSubstr("====]"));
}

TEST(Progress, ColourIsAddedAroundTheBarOnly) {
  EXPECT_THAT(render_bar(kHalf, {.width = 80, .color = true}), testing::HasSubstr("\033[36m"));
  EXPECT_EQ(render_bar(kHalf, {.width = 80}).find('\033'), std::string::npos);
}

TEST(Progress, WithoutATotalThereIsNoBarAndNoTimeLeft) {
  ProgressState state = kHalf;
  state.steps_total = 0;
  state.seconds_left = std::nan("");
  EXPECT_EQ(render_bar(state, {.width = 80}), "step 50  loss 3.2170  12.4k tokens/s");
  EXPECT_EQ(render_line(state, "examples"), "step 50  loss 3.2170  12.4k examples/s");
}

TEST(Progress, NumbersAndDurationsAreShort) {
  EXPECT_EQ(short_number(0), "0.00");
  EXPECT_EQ(short_number(37.21), "37.2");
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(999.9), "1.00k");
  EXPECT_EQ(short_number(1234567), "1.23M");
  EXPECT_EQ(short_number(std::nan("")), "-");
  EXPECT_EQ(short_duration(4.2), "4s");
  EXPECT_EQ(short_duration(65), "1m05s");
  EXPECT_EQ(short_duration(7020), "1h57m");
  EXPECT_EQ(short_duration(-1), "0s");
}

TEST(Progress, ModesHaveNames) {
  EXPECT_EQ(progress_mode_from_name("auto"), ProgressMode::automatic);
  EXPECT_EQ(progress_mode_from_name("bar"), ProgressMode::bar);
  EXPECT_EQ(progress_mode_from_name("log"), ProgressMode::log);
  EXPECT_EQ(progress_mode_from_name("off"), ProgressMode::off);
  EXPECT_THROW(progress_mode_from_name("loud"), Error);
}

TEST(Progress, TheBarRewritesOneLineAndEndsIt) {
  testing::internal::CaptureStderr();
  Progress progress(ProgressMode::bar, "tokens");
  const auto start = std::chrono::steady_clock::now();
  for (int step = 1; step <= 100; ++step) {
    progress.step({.steps_done = step, .steps_total = 100}, start);  // no time passes: only the first is drawn
  }
  progress.finish({.steps_done = 100, .steps_total = 100});
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\r'), 2);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.back(), '\n');
}

TEST(Progress, OffIsSilent) {
  testing::internal::CaptureStderr();
  Progress progress(ProgressMode::off, "tokens");
  progress.step(kHalf, std::chrono::steady_clock::now());
  progress.note("hello");
  progress.finish(kHalf);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace trireme::training
