// Failures of a part communicator, told in the words of the whole.
#include "trireme/comm/hierarchical/error_text.h"

#include <gtest/gtest.h>

#include "trireme/comm/operation_text.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr std::chrono::milliseconds kTimeout{3000};

Operation reduction(std::string_view name, std::int64_t count) {
  const Array array = Array::zeros({count});
  return {.kind = OpKind::all_reduce, .input = array, .output = array, .name = OpName(name), .sequence = 7};
}

Failure told(const std::string& cause, std::vector<int> blamed, std::vector<int> ranks) {
  return translate({"barrier", 0, "", std::move(blamed), cause}, ranks, kTimeout);
}

TEST(Tags, NameTheOperationAndTellApartWhatTheTextDoesNot) {
  const std::string tag(tag_of(reduction("weights", 10)).view());
  EXPECT_TRUE(tag.starts_with("all_reduce #7 \"weights\" f32 x 10 (sum) ~")) << tag;
  const std::string long_name(90, 'n');
  const std::string one(tag_of(reduction(long_name + "a", 10)).view());
  const std::string other(tag_of(reduction(long_name + "b", 10)).view());
  EXPECT_NE(one, other);
  EXPECT_NE(one.find("f32 x 10 (sum) ~"), std::string::npos) << one;
  EXPECT_NE(tag, tag_of(reduction("weights", 11)).view());
}

TEST(Translation, RanksBecomeThoseOfTheWhole) {
  const Failure failure = told("rank 1 (pid 12) is dead; ranks 0, 1 and 2 wait (reported by rank 0)", {1}, {4, 9, 11});
  EXPECT_EQ(failure.cause, "rank 9 (pid 12) is dead; ranks 4, 9 and 11 wait (reported by rank 4)");
  EXPECT_EQ(failure.ranks, (std::vector<int>{9}));
}

TEST(Translation, DisagreementsAreThoseOfTheOperationsServed) {
  const auto part = [](std::string_view name, std::int64_t count) {
    Operation operation = reduction(tag_of(reduction(name, count)).view(), 100);
    operation.kind = OpKind::reduce_scatter;
    return describe(signature_of(operation), 31, operation.name.view());
  };
  const Failure failure = told(disagreement(0, part("rank 1", 10), 1, part("b (c)", 11)), {0, 1}, {2, 5});
  EXPECT_EQ(failure.cause,
            disagreement(2, "all_reduce #7 \"rank 1\" f32 x 10 (sum)", 5, "all_reduce #7 \"b (c)\" f32 x 11 (sum)"));
  EXPECT_EQ(failure.ranks, (std::vector<int>{2, 5}));
}

TEST(Translation, TheDeadlineIsThatOfTheWhole) {
  EXPECT_EQ(told("the deadline of 17 ms passed; rank 0 did not arrive", {0}, {3}).cause,
            "the deadline of 3000 ms passed; rank 3 did not arrive");
}

TEST(Translation, LeavesOutWhereSomebodyIsInThePart) {
  EXPECT_EQ(
      told("rank 1 is dead; the last operation of rank 1 is barrier #4 \"x\"; rank 0 has started nothing", {1}, {3, 4})
          .cause,
      "rank 4 is dead");
}

TEST(Translation, NumbersThatAreNoRanksOfThePartStay) {
  EXPECT_EQ(told("rank 5 and rank 99999999999999999999 of ranks", {5, -1}, {1}).cause,
            "rank 5 and rank 99999999999999999999 of ranks");
  EXPECT_TRUE(told("rank 5", {5, -1}, {1}).ranks.empty());
}

TEST(Translation, LeavesOtherWordsAlone) {
  for (const std::string text : {"the deadline of the gods; rank and file; ranks, and prank 0; \"a ~12345678\"; ", "",
                                 "all_reduce #x \"a ~1b2c3d4e\"", "rank 1and rank1 (rank"}) {
    EXPECT_EQ(told(text, {}, {5, 6, 7}).cause, text == "rank 1and rank1 (rank" ? "rank 6and rank1 (rank" : text);
  }
}

TEST(Translation, OperationsOfThePartLoseTheirOwnCountAndKind) {
  EXPECT_EQ(
      told("waits in barrier #3 \"all_reduce #7 \"w\" f32 x 10 (sum) ~0a0b0c0d\" and in send #4 \"x\" u8 x 1", {}, {5})
          .cause,
      "waits in all_reduce #7 \"w\" f32 x 10 (sum) and in send #4 \"x\" u8 x 1");
}

TEST(Relays, GiveTheFailureBackUnchanged) {
  const Failure failure{"rank 3 aborted the communicator: ~ rank 0 says \"1,2\" ~", {3, 12}};
  const std::string engines[] = {"rank 1 aborted the communicator: {}",
                                 "rank 1 aborted the communicator: {} (reported by rank 0)"};
  for (const std::string& engine : engines) {
    const Failure back = told(fmt::format(fmt::runtime(engine), relay(failure)), {1}, {7, 8});
    EXPECT_EQ(back.cause, failure.cause);
    EXPECT_EQ(back.ranks, failure.ranks);
  }
}

TEST(Relays, ThatWereCutStillSayWhatTheyCan) {
  const Failure back = told("rank 1 aborted the communicator: ~4~the deadline of 60 ms passed; ra...", {1}, {7, 8});
  EXPECT_EQ(back.cause, "the deadline of 60 ms passed; ra...");
  EXPECT_EQ(back.ranks, (std::vector<int>{4}));
}

}  // namespace
}  // namespace trireme::comm::hierarchical
