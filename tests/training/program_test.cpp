#include "trireme/training/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <stdexcept>

#include "trireme/core/base/error.h"

namespace trireme::training {
namespace {

struct Ended {
  int code = -1;
  std::string err;
};

Ended end_of(std::vector<const char*> words, const std::function<int(Session&)>& body) {
  ProgramOptions options;
  OptionParser parser("train_test", "Trains nothing.", options);
  words.insert(words.begin(), "train_test");
  testing::internal::CaptureStderr();
  Ended ended;
  ended.code = run_program(static_cast<int>(words.size()), words.data(), parser, options, body);
  ended.err = testing::internal::GetCapturedStderr();
  return ended;
}

TEST(Program, TheBodysCodeIsTheProgramsCode) {
  EXPECT_EQ(end_of({}, [](Session&) { return kExitRequeue; }).code, 75);
}

TEST(Program, EveryKindOfExceptionIsOneLineAndACode) {
  const Ended failure = end_of({}, [](Session&) -> int { fail("reading x failed;\nbuy a disk"); });
  EXPECT_EQ(failure.code, 1);
  EXPECT_EQ(failure.err, "error: reading x failed; buy a disk\n");
  const Ended usage = end_of({}, [](Session&) -> int { fail_usage("--width 7: even numbers only"); });
  EXPECT_EQ(usage.code, 2);
  EXPECT_EQ(usage.err, "error: --width 7: even numbers only\n");
  const Ended memory = end_of({}, [](Session&) -> int { throw std::bad_alloc(); });
  EXPECT_EQ(memory.code, 1);
  EXPECT_THAT(memory.err, testing::StartsWith("error: out of memory"));
  const Ended other = end_of({}, [](Session&) -> int { throw std::logic_error("odd"); });
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(other.err, "error: odd\n");
  const Ended unknown = end_of({}, [](Session&) -> int { throw 3; });
  EXPECT_EQ(unknown.code, 1);
}

TEST(Program, BadWordsEndBeforeAnythingStarts) {
  const Ended ended = end_of({"--stepz", "3"}, [](Session&) -> int { throw std::logic_error("started"); });
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, testing::HasSubstr("did you mean --steps?"));
}

TEST(Program, RanksAreThreadsAndFirstRanksCodeCounts) {
  std::atomic<int> ranks{0};
  const Ended ended = end_of({"--backend", "local", "--ranks", "3"}, [&](Session& session) {
    ++ranks;
    return session.world().rank() == 0 ? 0 : 9;
  });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ranks, 3);
}

TEST(Program, AnErrorOnOneRankEndsAll) {
  const Ended ended = end_of({"--backend", "local", "--ranks", "3"}, [&](Session& session) {
    if (session.world().rank() == 1) {
      fail("rank 1 has no disk");
    }
    session.world()->barrier().wait();
    return 0;
  });
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.err, "error: rank 1 has no disk\n");
}

TEST(Program, ABatchThatDoesNotDivideIsAUsageError) {
  const Ended ended = end_of({"--backend", "local", "--ranks", "5"}, [](Session&) { return 0; });
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.err,
            "error: --global-batch 12: a multiple of --lanes 5 x --accumulate 1 expected; use --global-batch 15\n");
}

TEST(Program, ErrorsOfLaunchedRanksNameRankAndHost) {
  EXPECT_EQ(error_line("no disk", "rank 2", "node-b"), "error: rank 2 on node-b: no disk");
  EXPECT_EQ(error_line("no disk", "", "node-b"), "error: no disk");
}

TEST(Program, TextIsPrintedOnceWhateverTheRanks) {
  testing::internal::CaptureStdout();
  end_of({"--backend", "local", "--ranks", "2"}, [](Session& session) {
    session.print("hello");
    return 0;
  });
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "hello\n");
}

}  // namespace
}  // namespace trireme::training
