#include "trireme/core/base/activity.h"

#include <gtest/gtest.h>

#include <thread>

namespace trireme {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Activity, TellsPhaseStepAndAge) {
  ActivityRecord record;
  record.enter_step(12);
  const auto before = steady_clock::now();
  record.enter(Phase::loading_data);
  const auto after = steady_clock::now();
  const Activity seen = record.look(after + milliseconds(4100));
  EXPECT_EQ(seen.phase, Phase::loading_data);
  EXPECT_EQ(seen.step, 12);
  EXPECT_GE(seen.age, milliseconds(4100));
  EXPECT_LE(seen.age, milliseconds(4100) + (after - before) + std::chrono::microseconds(1));
}

TEST(Activity, IsReadAsASentence) {
  EXPECT_EQ(describe(Activity{Phase::loading_data, 12, milliseconds(4140)}), "in data loading since 4.1 s (step 12)");
  EXPECT_EQ(describe(Activity{Phase::saving_checkpoint, -1, milliseconds(0)}), "saving a checkpoint since 0.0 s");
}

TEST(Activity, OfMemoryThatHoldsNonsenseIsNoError) {
  ActivityRecord record;
  record.enter(static_cast<Phase>(200));
  EXPECT_EQ(describe(record.look({})), "in an unknown phase since 0.0 s");
}

TEST(Activity, AgesNeverRunBackwards) {
  ActivityRecord record;
  EXPECT_EQ(record.look(steady_clock::now() - std::chrono::hours(1)).age.count(), 0);
}

TEST(Activity, ScopesGiveThePhaseBeforeBack) {
  enter_phase(Phase::backward);
  {
    const PhaseScope saving(Phase::saving_checkpoint);
    EXPECT_EQ(activity_record()->phase(), Phase::saving_checkpoint);
  }
  EXPECT_EQ(activity_record()->phase(), Phase::backward);
}

TEST(Activity, EachThreadHasItsOwn) {
  enter_phase(Phase::backward);
  std::thread([] {
    EXPECT_EQ(activity_record()->phase(), Phase::program);
    enter_phase(Phase::evaluating);
  }).join();
  EXPECT_EQ(activity_record()->phase(), Phase::backward);
}

TEST(Activity, IsMirroredInOtherMemoryWhileReadersKeepTheirs) {
  const std::shared_ptr<const ActivityRecord> reader = activity_record();
  enter_phase(Phase::updating);
  enter_step(3);
  const auto mirror = std::make_shared<ActivityRecord>();
  mirror_activity_in(mirror);
  EXPECT_EQ(activity_mirror(), mirror.get());
  EXPECT_EQ(mirror->phase(), Phase::updating);
  EXPECT_EQ(mirror->look(steady_clock::now()).step, 3);
  enter_phase(Phase::forward);
  enter_step(4);
  for (const ActivityRecord* seen : {reader.get(), static_cast<const ActivityRecord*>(mirror.get())}) {
    EXPECT_EQ(seen->phase(), Phase::forward);
    EXPECT_EQ(seen->look(steady_clock::now()).step, 4);
  }
  mirror_activity_in(nullptr);
  enter_phase(Phase::backward);
  EXPECT_EQ(mirror->phase(), Phase::forward);
  EXPECT_EQ(reader->phase(), Phase::backward);
}

}  // namespace
}  // namespace trireme
