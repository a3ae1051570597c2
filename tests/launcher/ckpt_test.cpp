// `trireme ckpt` on a directory of checkpoints.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/command.h"
#include "trireme/checkpoint/layout.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Ckpt : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::int64_t step : {1, 2, 3, 4}) {
      checkpoint::Writer writer(files_, clock_, [&] {
        checkpoint::WriterOptions options = checkpoint::test_state::options(dir_.path());
        options.keep = 10;
        return options;
      }());
      writer.save(checkpoint::test_state::position(step), checkpoint::test_state::make_state(step));
    }
  }

  test::CommandResult ckpt(std::vector<std::string> words) const {
    words.insert(words.begin(), {TRIREME_BIN_DIR "/trireme", "ckpt"});
    words.push_back(dir_.path());
    return test::run_command(words);
  }
  static std::string name(std::int64_t step) { return fmt::format("step-{:08}", step); }
  std::string path(std::int64_t step) const { return dir_ / name(step); }
  std::vector<std::int64_t> left() const {
    std::vector<std::int64_t> steps;
    for (std::int64_t step = 1; step <= 4; ++step) {
      if (std::filesystem::exists(path(step))) {
        steps.push_back(step);
      }
    }
    return steps;
  }
  // Flips a bit in the middle of the tensors.
  void damage(std::int64_t step) const {
    for (const auto& entry : std::filesystem::directory_iterator(path(step))) {
      if (entry.path().extension() == ".safetensors") {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-8, std::ios::end);
        file.put('!');
      }
    }
  }

  test::TempDir dir_;
  PosixFileSystem files_;
  SteadyClock clock_;
};

TEST_F(Ckpt, PruneKeepsTheNewestAndNamesWhatItDeletes) {
  const auto result = ckpt({"prune", "--keep", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(left(), (std::vector<std::int64_t>{3, 4}));
  EXPECT_THAT(result.out, HasSubstr("deleted " + name(1)));
  EXPECT_THAT(result.out, HasSubstr("deleted " + name(2)));
  EXPECT_THAT(result.out, Not(HasSubstr(name(3))));
  EXPECT_EQ(ckpt({"prune"}).exit_code, 0);
  EXPECT_EQ(left(), (std::vector<std::int64_t>{4})) << "without --keep one stays";
  EXPECT_EQ(ckpt({"verify"}).exit_code, 0);
}

TEST_F(Ckpt, PruneDoesNotCountADamagedOneAndLeavesItAlone) {
  damage(4);
  const auto result = ckpt({"prune"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("damaged, left alone: " + name(4)));
  EXPECT_EQ(left(), (std::vector<std::int64_t>{3, 4})) << "the newest good one must stay";
}

TEST_F(Ckpt, PruneRefusesADirectoryThatAJobUses) {
  const auto lock = files_.try_lock(dir_ / std::string(checkpoint::kLockName), "a job");
  ASSERT_NE(lock, nullptr);
  const auto result = ckpt({"prune"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("a job is using"));
  EXPECT_EQ(left().size(), 4u);
}

TEST_F(Ckpt, PruneKeepsAtLeastOne) {
  const auto result = ckpt({"prune", "--keep", "0"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--keep 0 given"));
  EXPECT_EQ(left().size(), 4u);
}

TEST_F(Ckpt, ListAndVerifyTellTheStateOfEach) {
  damage(2);
  const auto listed = ckpt({"ls"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr(name(4)));
  EXPECT_THAT(listed.out, HasSubstr("newest"));
  const auto verified = ckpt({"verify"});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.out, HasSubstr("BAD " + name(2)));
  EXPECT_THAT(verified.out, HasSubstr("ok  " + name(4)));
}

}  // namespace
}  // namespace trireme::launcher
