// `trireme ckpt` on a directory of checkpoints.
#include <gmock/gmock.h>

#include "tests/launcher/ckpt_fixture.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

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
  EXPECT_THAT(listed.out, HasSubstr("whole, newest"));
  EXPECT_THAT(ckpt({"ls", "--verify"}).out, HasSubstr("verified, newest"));
  const auto verified = ckpt({"verify"});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.out, HasSubstr("BAD " + name(2)));
  EXPECT_THAT(verified.out, HasSubstr("ok  " + name(4)));
}

TEST_F(Ckpt, ListTellsScriptsEverything) {
  damage(2);
  const nlohmann::json json = json_of(ckpt({"ls", "--json", "--verify"}));
  ASSERT_EQ(json["checkpoints"].size(), 4u);
  const nlohmann::json& newest = json["checkpoints"][0];
  EXPECT_EQ(newest["name"], name(4));
  EXPECT_EQ(newest["step"], 4);
  EXPECT_EQ(newest["world_size"], 1);
  EXPECT_EQ(newest["strategy"], "mirrored");
  EXPECT_EQ(newest["state"], "verified");
  EXPECT_GT(newest["bytes"], 4096);
  EXPECT_LT(newest["age_seconds"], 600);
  EXPECT_EQ(json["checkpoints"][2]["state"], "damaged");
  EXPECT_THAT(json["checkpoints"][2]["reason"].get<std::string>(), HasSubstr("do not match their checksum"));
  std::filesystem::resize_file(path(3) + "/manifest.pb", 30);
  EXPECT_THAT(json_of(ckpt({"ls", "--json"}))["unusable"][0].get<std::string>(), HasSubstr(name(3)));
}

TEST_F(Ckpt, VerifyTellsScriptsAndTakesOneCheckpoint) {
  damage(2);
  const auto all = ckpt({"verify", "--json"});
  EXPECT_EQ(all.exit_code, 1);
  EXPECT_EQ(json_of(all)["checkpoints"][0]["state"], "verified");
  EXPECT_EQ(run({"verify", path(4) + "/"}).exit_code, 0);
  EXPECT_EQ(run({"verify", path(2)}).exit_code, 1);
  std::filesystem::resize_file(path(3) + "/manifest.pb", 30);
  EXPECT_EQ(run({"verify", path(3)}).exit_code, 1);
}

TEST_F(Ckpt, PruneRehearsesAndTellsScripts) {
  damage(4);
  const nlohmann::json json = json_of(ckpt({"prune", "--dry-run", "--json"}));
  EXPECT_EQ(json["deleted"], (std::vector<std::string>{name(1), name(2)}));
  EXPECT_EQ(json["kept"], (std::vector<std::string>{name(3)}));
  EXPECT_EQ(json["damaged"], (std::vector<std::string>{name(4)}));
  EXPECT_EQ(left().size(), 4u);
  const auto one = run({"prune", path(3)});
  EXPECT_EQ(one.exit_code, 2);
  EXPECT_THAT(one.err, HasSubstr("is one checkpoint"));
}

TEST_F(Ckpt, WhatCannotBeDoneIsOneShortMessage) {
  const std::vector<std::pair<std::vector<std::string>, int>> cases = {
      {{"ls", "/absent"}, 1}, {{"verify", "/absent"}, 1}, {{"prune", "/absent"}, 1}, {{"ls"}, 2},
      {{"fold", "x"}, 2},     {{"ls", "x", "--bad"}, 2}};
  for (const auto& [words, code] : cases) {
    const auto result = run(words);
    EXPECT_EQ(result.exit_code, code) << words[0];
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace trireme::launcher
