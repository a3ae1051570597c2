#include "trireme/comm/flight_recorder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

namespace trireme::comm {
namespace {

using std::chrono::milliseconds;

Operation all_reduce(std::uint64_t sequence, std::int64_t count, std::string_view name) {
  Operation operation;
  operation.kind = OpKind::all_reduce;
  operation.input = Array::zeros({count});
  operation.output = operation.input;
  operation.sequence = sequence;
  operation.name = OpName(name);
  return operation;
}

constexpr OpState kStarted = OpState::started;

TEST(FlightRecorder, TellsWhatRanAndHowLong) {
  FlightRecorder recorder;
  const FlightRecorder::TimePoint begin{};
  const std::uint64_t first = recorder.started(all_reduce(0, 5, "bucket 0"), begin);
  recorder.started(all_reduce(1, 6, "bucket 1"), begin + milliseconds(4));
  recorder.completed(first, begin + milliseconds(3));
  EXPECT_EQ(recorder.text(begin + milliseconds(10)),
            "all_reduce #0 \"bucket 0\" f32 x 5 completed 10.000 ms ago, took 3.000 ms\n"
            "all_reduce #1 \"bucket 1\" f32 x 6 started 6.000 ms ago\n");
}

TEST(FlightRecorder, DumpsJsonEvenOfNamesThatAreNoText) {
  FlightRecorder recorder;
  recorder.started(all_reduce(7, 5, "a\xff\"b"), {});
  const auto dump = nlohmann::json::parse(recorder.json(3, FlightRecorder::TimePoint(milliseconds(2))));
  EXPECT_EQ(dump["rank"], 3);
  EXPECT_EQ(dump["records"][0]["sequence"], 7);
  EXPECT_EQ(dump["records"][0]["kind"], "all_reduce");
  EXPECT_EQ(dump["records"][0]["state"], "started");
  EXPECT_EQ(dump["records"][0]["age_ms"], 2.0);
}

TEST(FlightRecorder, KeepsTheLastOperationsOnly) {
  FlightRecorder recorder;
  const auto many = static_cast<std::uint64_t>(FlightRecorder::kCapacity) + 10;
  for (std::uint64_t i = 0; i < many; ++i) {
    recorder.started(all_reduce(i, 1, ""), {});
  }
  recorder.completed(3, {});  // long forgotten
  const std::vector<OpRecord> records = recorder.records();
  ASSERT_EQ(records.size(), FlightRecorder::kCapacity);
  EXPECT_EQ(records.front().sequence, 10u);
  EXPECT_EQ(records.back().sequence, many - 1);
  EXPECT_EQ(records[FlightRecorder::kCapacity - 7].state, kStarted);
}

TEST(FlightRecorder, CutsLongNames) {
  const OpName name(std::string(200, 'x'));
  EXPECT_EQ(name.view().size(), 94u);
  EXPECT_EQ(name.view().substr(91), "...");
}

TEST(FlightRecorder, IsReadWhileItIsWritten) {
  FlightRecorder recorder;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; !stop; ++i) {
      const std::string name(static_cast<std::size_t>(i % 90), static_cast<char>('a' + i % 26));
      recorder.completed(recorder.started(all_reduce(i, static_cast<std::int64_t>(i), name), {}), {});
    }
  });
  int seen = 0;
  while (seen < 2000) {
    for (const OpRecord& record : recorder.records(8)) {
      const auto count = static_cast<std::uint64_t>(record.count);
      EXPECT_EQ(count, record.sequence);
      EXPECT_EQ(record.name.view(), std::string(count % 90, static_cast<char>('a' + count % 26)));
      ++seen;
    }
  }
  stop = true;
  writer.join();
}

TEST(FlightRecorder, GivesTheNewestOnRequest) {
  FlightRecorder recorder;
  for (std::uint64_t i = 0; i < 5; ++i) {
    recorder.started(all_reduce(i, 1, ""), {});
  }
  const std::vector<OpRecord> records = recorder.records(2);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records.front().sequence, 3u);
}

}  // namespace
}  // namespace trireme::comm
