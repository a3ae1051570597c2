// SIGKILL at random moments of a job that saves at every step, on the real disk: each start goes on from the last
// checkpoint that the job had acknowledged, or a newer one, and computes the bits of a run that nobody disturbed.
// TRIREME_TEST_FULL=1: 50 rounds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <map>
#include <random>
#include <regex>
#include <thread>

#include "tests/programs/samples.h"
#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

int rounds() { return std::getenv("TRIREME_TEST_FULL") != nullptr ? 50 : 8; }

using LossBits = std::map<std::int64_t, std::string>;  // by step

struct Job {
  std::string name;
  std::vector<std::string> options;
  int ranks = 1;
};

class KillStorm : public testing::TestWithParam<Job> {
 protected:
  void SetUp() override { write_text_file(text_); }

  Process start(int ranks, std::int64_t steps) const {
    return Process(launched(ranks, with(tiny_gpt(text_, metrics_),
                                        with(GetParam().options, {"--steps", std::to_string(steps), "--save-every", "1",
                                                                  "--keep", "2", "--checkpoint-dir", checkpoints_}))));
  }

  // The newest checkpoint that the metrics call complete, or 0; and what the steps computed.
  std::int64_t acknowledged(LossBits& bits) const {
    std::int64_t saved = 0;
    for (const nlohmann::json& line : read_metrics(metrics_)) {
      if (line.contains("step")) {
        const std::string found = line["loss_bits"].get<std::string>();
        const auto known = bits.emplace(line["step"].get<std::int64_t>(), found).first;
        EXPECT_EQ(known->second, found) << "step " << known->first << " was redone with other bits";
        saved = line["saved_step"].is_null() ? saved : std::max(saved, line["saved_step"].get<std::int64_t>());
      }
    }
    return saved;
  }

  TempDir dir_;
  std::string text_ = dir_ / "text";
  std::string metrics_ = dir_ / "metrics.jsonl";
  std::string checkpoints_ = dir_ / "checkpoints";
};

// The steps that the run went on from; 0 for a fresh start.
std::int64_t resumed_at(const std::string& log) {
  std::smatch match;
  return std::regex_search(log, match, std::regex("going on after (\\d+) steps")) ? std::stoll(match[1]) : 0;
}

TEST_P(KillStorm, NothingAcknowledgedIsLostAndEveryBitIsRight) {
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> milliseconds(30, 900);
  LossBits bits;
  std::int64_t acknowledged_before = 0;
  for (int round = 0; round < rounds(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Process job = start(GetParam().ranks + round % 2, 1'000'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds(random)) * kPatience);
    job.send(SIGKILL);
    const Outcome killed = job.wait();
    ASSERT_EQ(killed.code, 128 + SIGKILL) << killed.err;
    if (const std::int64_t at = resumed_at(killed.err); at > 0) {  // else it was killed before it could say so
      EXPECT_GE(at, acknowledged_before) << killed.err;
    }
    const std::int64_t now = acknowledged(bits);
    EXPECT_GE(now, acknowledged_before) << "it began anew";
    acknowledged_before = std::max(acknowledged_before, now);
  }
  ASSERT_GT(acknowledged_before, 0) << "no checkpoint was ever complete; nothing was tested";
  const std::int64_t steps = bits.rbegin()->first + 3;
  const Outcome rest = start(GetParam().ranks, steps).wait();
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_GE(resumed_at(rest.err), acknowledged_before) << rest.err;
  acknowledged(bits);
  const std::string hash = hash_of(metrics_);
  const Outcome undisturbed = run(with(tiny_gpt(text_, metrics_), {"--steps", std::to_string(steps)}));
  ASSERT_EQ(undisturbed.code, 0) << undisturbed.err;
  EXPECT_EQ(hash, hash_of(metrics_));
  for (const nlohmann::json& line : read_metrics(metrics_)) {
    if (const auto found = bits.find(line.value("step", std::int64_t{-1})); found != bits.end()) {
      EXPECT_EQ(found->second, line["loss_bits"].get<std::string>()) << "step " << found->first;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, KillStorm,
                         testing::Values(Job{"mirrored", {}, 1},
                                         Job{"zero_3", {"--strategy", "fully_sharded", "--zero-stage", "3"}, 2}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace trireme::test
