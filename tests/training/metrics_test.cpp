#include "trireme/training/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temp_dir.h"
#include "trireme/core/base/error.h"
#include "trireme/training/process_stats.h"

namespace trireme::training {
namespace {

std::string text_of(const TextBuffer& buffer) { return {buffer.data(), buffer.size()}; }

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Metrics, AStepLineHasTheFieldsOfTheContract) {
  TextBuffer out;
  append_step_line(out,
                   {.step = 3,
                    .loss = 5.5,
                    .grad_norm = 1.0 / 3,
                    .learning_rate = 3e-4,
                    .items = 768,
                    .seconds = 0.5,
                    .comm_seconds = 0.001,
                    .world_size = 2,
                    .peak_rss_bytes = 4096,
                    .page_faults = 7},
                   "tokens");
  EXPECT_EQ(
      text_of(out),
      "{\"step\":3,\"loss\":5.5,\"loss_bits\":\"40b00000\",\"grad_norm\":0.333333333,\"lr\":0.0003,\"tokens\":768,"
      "\"tokens_per_s\":1536,\"step_ms\":500,\"comm_ms\":1,\"world_size\":2,\"generation\":0,\"peak_rss_bytes\":4096,"
      "\"page_faults\":7}\n");
}

TEST(Metrics, NotANumberAndInfinityAreNullAndTheLineStaysJson) {
  TextBuffer out;
  append_step_line(out, {.loss = std::nan(""), .grad_norm = std::numeric_limits<double>::infinity(), .items = 8},
                   "examples");
  const auto line = nlohmann::json::parse(text_of(out));
  EXPECT_TRUE(line["loss"].is_null());
  EXPECT_TRUE(line["grad_norm"].is_null());
  EXPECT_TRUE(line["examples_per_s"].is_null());
  EXPECT_EQ(line["loss_bits"].get<std::string>().substr(1), "fc00000");
}

TEST(Metrics, NineDigitsBringEveryFloatBack) {
  for (const float value : {0.1f, 5.5451775f, 1e-30f, 16777217.0f, 3.4e38f}) {
    TextBuffer out;
    append_step_line(out, {.loss = value}, "tokens");
    EXPECT_EQ(nlohmann::json::parse(text_of(out))["loss"].get<float>(), value);
  }
}

TEST(Metrics, EpochDoneAndStoppedLinesAreJson) {
  TextBuffer out;
  append_epoch_line(out, {.epoch = 2, .steps = 30, .test = {{{"accuracy", 0.5}}, 10, ""}});
  append_done_line(out,
                   {.steps = 30,
                    .params_hash = "00ff",
                    .items_per_second = 2.5,
                    .backend = "shm",
                    .comm_bytes = 9,
                    .peak_rss_bytes = 5},
                   "tokens");
  append_stopped_line(out, 12, "SIGTERM", true);
  EXPECT_EQ(
      text_of(out),
      "{\"epoch\":2,\"accuracy\":0.5,\"test_examples\":10,\"steps\":30}\n"
      "{\"done\":true,\"steps\":30,\"params_hash\":\"00ff\",\"tokens_per_s\":2.5,\"backend\":\"shm\",\"comm_bytes\":9,"
      "\"peak_rss_bytes\":5}\n"
      "{\"event\":\"stopped\",\"steps\":12,\"cause\":\"SIGTERM\",\"saved\":true}\n");
}

TEST(Metrics, TheMedianRateLeavesOutTheWarmUp) {
  EXPECT_TRUE(std::isnan(median_rate({1, 2})));
  EXPECT_EQ(median_rate({100, 100, 3, 1}), 2);
  EXPECT_EQ(median_rate({9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9}), 5);     // 11 steps: 2 left out
  EXPECT_EQ(median_rate({9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7}), 4);  // 12 steps: 5 left out
}

TEST(MetricsFile, EachLineIsThereAtOnceAndAResumedRunAppends) {
  const test::TempDir dir;
  const std::string path = dir / "metrics.jsonl";
  TextBuffer line;
  {
    MetricsFile file(path, false);
    line.append(std::string_view("one\n"));
    file.write(line);
    EXPECT_EQ(contents(path), "one\n");
    EXPECT_EQ(line.size(), 0u);
  }
  {
    MetricsFile file(path, true);
    line.append(std::string_view("two\n"));
    file.write(line);
  }
  EXPECT_EQ(contents(path), "one\ntwo\n");
  MetricsFile file(path, false);
  EXPECT_EQ(contents(path), "");
}

TEST(MetricsFile, WithoutAPathNothingIsWritten) {
  MetricsFile file("", false);
  EXPECT_FALSE(file.enabled());
  TextBuffer line;
  line.append(std::string_view("one\n"));
  file.write(line);
  EXPECT_EQ(line.size(), 0u);
}

TEST(MetricsFile, AFullDiskIsAnErrorThatSaysSo) {
  MetricsFile file("/dev/full", true);
  TextBuffer line;
  line.append(std::string_view("one\n"));
  try {
    file.write(line);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("No space left on device"));
  }
  EXPECT_THROW(MetricsFile("/no/such/dir/file", false), Error);
}

TEST(ProcessStats, CountsThePagesThatAreTouched) {
  ProcessStats stats;
  stats.sample();
  const std::int64_t before = stats.sample().peak_rss_bytes;
  constexpr std::size_t kBytes = 64 << 20;
  std::vector<char> memory(kBytes, 1);
  const ProcessStats::Sample sample = stats.sample();
  EXPECT_GT(sample.page_faults, 16);  // at least one a huge page
  EXPECT_GE(sample.peak_rss_bytes, before);
  EXPECT_GE(sample.peak_rss_bytes, static_cast<std::int64_t>(kBytes));
  EXPECT_NE(memory[kBytes / 2], 0);
}

}  // namespace
}  // namespace trireme::training
