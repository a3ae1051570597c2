// The `trireme` command around `run`.
#include <gmock/gmock.h>

#include "tests/support/command.h"

namespace trireme::launcher {
namespace {

using ::testing::HasSubstr;

test::CommandResult trireme(const std::vector<std::string>& words) {
  std::vector<std::string> command = {TRIREME_BIN_DIR "/trireme"};
  command.insert(command.end(), words.begin(), words.end());
  return test::run_command(command);
}

TEST(CommandLine, HelpListsEveryCommandAndTeachesByExample) {
  const auto result = trireme({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* command : {"run", "bench", "doctor", "ckpt", "plan", "status", "simulate", "Examples:"}) {
    EXPECT_THAT(result.out, HasSubstr(command));
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const auto result = trireme({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, ::testing::MatchesRegex("trireme [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, WrongUsageExitsWithTwo) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"sail"},
                                                {"doctor", "x"},
                                                {"bench"},
                                                {"bench", "sails"},
                                                {"bench", "all_reduce", "--ranks", "many"},
                                                {"run"},
                                                {"run", "--sail"},
                                                {"plan"},
                                                {"plan", "--sail", "--", "x"},
                                                {"plan", "--nnodes", "0", "--", "true"},
                                                {"plan", "--", "no_such_program"}}) {
    const auto result = trireme(words);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(words);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("trireme"));
  }
}

TEST(CommandLine, CommandsNotBuiltYetSayWhatToDoInstead) {
  for (const char* command : {"status", "simulate"}) {
    const auto result = trireme({command});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("not built yet; for now,"));
  }
}

TEST(CommandLine, EachCommandExplainsItself) {
  for (const char* command : {"run", "plan", "bench", "doctor", "ckpt"}) {
    const auto result = trireme({command, "--help"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr(std::string("trireme ") + command));
  }
}

TEST(CommandLine, BenchNamesAFolderThatItCannotWrite) {
  const auto result = trireme({"bench", "machine", "--dir", "/proc"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("cannot write in /proc"));
}

}  // namespace
}  // namespace trireme::launcher
