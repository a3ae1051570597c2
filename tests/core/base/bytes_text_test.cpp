#include "trireme/core/base/bytes_text.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(BytesText, HasUnits) {
  EXPECT_EQ(bytes_text(-1), "none");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(std::int64_t{3} << 40), "3.0 TiB");
}

}  // namespace
}  // namespace trireme
