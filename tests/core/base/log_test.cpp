// Log lines: levels, prefix, and nothing below the level.
#include "trireme/core/base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace trireme {
namespace {

class Log : public testing::Test {
 protected:
  void TearDown() override {
    log::set_level(log::Level::info);
    log::set_prefix("");
  }
  template <class F>
  static std::string captured(const F& f) {
    testing::internal::CaptureStderr();
    f();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, LinesSayLevelAndText) {
  EXPECT_EQ(captured([] { log::info("loaded {} items", 3); }), "trireme info: loaded 3 items\n");
  EXPECT_EQ(captured([] { log::error("lost"); }), "trireme error: lost\n");
}

TEST_F(Log, ThePrefixNamesTheRank) {
  log::set_prefix("rank 1");
  EXPECT_EQ(captured([] { log::warning("slow"); }), "trireme [rank 1] warning: slow\n");
}

TEST_F(Log, NothingBelowTheLevelIsWritten) {
  log::set_level(log::Level::warning);
  EXPECT_FALSE(log::enabled(log::Level::info));
  EXPECT_TRUE(log::enabled(log::Level::error));
  EXPECT_EQ(captured([] { log::info("chatter"); }), "");
  log::set_level(log::Level::off);
  EXPECT_EQ(captured([] { log::error("ignored"); }), "");
}

TEST_F(Log, BracesInTextAreNotFormats) {
  EXPECT_EQ(captured([] { log::write(log::Level::info, "{} {0}"); }), "trireme info: {} {0}\n");
}

}  // namespace
}  // namespace trireme
