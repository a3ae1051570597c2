// Text of bounded length: empty, cut, and safe to read whatever its memory says.
#include "trireme/comm/fixed_text.h"

#include <gtest/gtest.h>

#include <string>

namespace trireme::comm {
namespace {

TEST(FixedText, AViewThatPointsNowhereIsEmptyText) {
  const FixedText<8> text{std::string_view()};
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(text.view(), "");
}

TEST(FixedText, LongTextIsCutAndSaysSo) {
  EXPECT_EQ(FixedText<8>("12345678").view(), "12345678");
  EXPECT_EQ(FixedText<8>("123456789").view(), "12345...");
}

}  // namespace
}  // namespace trireme::comm
