#include "trireme/training/stop_signals.h"

#include <gtest/gtest.h>

namespace trireme::training {
namespace {

TEST(StopSignals, TheFirstSignalIsRememberedAndTheProcessLives) {
  const StopSignals signals;
  EXPECT_EQ(StopSignals::received(), 0);
  raise(SIGUSR1);
  raise(SIGTERM);  // the launcher's copy, at once: not impatience
  EXPECT_EQ(StopSignals::received(), SIGUSR1);
}

TEST(StopSignals, TheNextRunBeginsWithoutAnOldSignal) {
  {
    const StopSignals signals;
    raise(SIGTERM);
  }
  const StopSignals signals;
  EXPECT_EQ(StopSignals::received(), 0);
}

TEST(StopSignals, NestedOnesShareTheSignalAndTheHandlerLivesUntilTheLast) {
  struct sigaction before {};
  sigaction(SIGTERM, nullptr, &before);
  {
    const StopSignals outer;
    { const StopSignals inner; }
    raise(SIGTERM);
    EXPECT_EQ(StopSignals::received(), SIGTERM);
  }
  struct sigaction after {};
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(StopSignals, AfterAStopTheSignalMayStillArrive) {
  {
    const StopSignals signals;  // of a rank that leaves because another one was signalled
    StopSignals::stay();
  }
  raise(SIGUSR1);  // its own copy, later
  EXPECT_EQ(StopSignals::received(), SIGUSR1);
  struct sigaction after {};
  {
    const StopSignals signals;  // a next run, which ends in the ordinary way
    EXPECT_EQ(StopSignals::received(), 0);
    raise(SIGUSR1);
    EXPECT_EQ(StopSignals::received(), SIGUSR1);
  }
  sigaction(SIGUSR1, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
}

TEST(StopSignals, NamesAreThoseOfTheSystem) {
  EXPECT_STREQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_STREQ(signal_name(SIGINT), "SIGINT");
  EXPECT_STREQ(signal_name(SIGUSR1), "SIGUSR1");
}

}  // namespace
}  // namespace trireme::training
