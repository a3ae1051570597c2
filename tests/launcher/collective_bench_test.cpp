// `trireme bench all_reduce` and its siblings: the arithmetic of the table, the check of results, and real runs.
#include <gmock/gmock.h>

#include <sstream>

#include "tests/support/command.h"
#include "trireme/comm/environment.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/bench_collectives.h"
#include "trireme/launcher/collective_check.h"

namespace trireme::launcher {
namespace {

using comm::ReduceOp;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(CollectiveRows, AmountsFollowNcclTests) {
  EXPECT_EQ(amount_of(Collective::all_reduce, 1000, DType::f32, 3).count, 250);
  const Amount gathered = amount_of(Collective::all_gather, 1000, DType::f32, 3);  // pieces of 83 floats
  EXPECT_EQ(gathered.count, 83);
  EXPECT_EQ(gathered.bytes, 83 * 3 * 4);
  EXPECT_EQ(amount_of(Collective::all_to_all, 1, DType::f64, 7).bytes, 7 * 8);  // never nothing
  EXPECT_EQ(amount_of(Collective::barrier, 1000, DType::f32, 3).bytes, 0);
}

TEST(CollectiveRows, SizesGrowByTheFactorUpToTheMost) {
  EXPECT_THAT(row_sizes(Collective::all_reduce, 8, 100, 2), ElementsAre(8, 16, 32, 64));
  EXPECT_THAT(row_sizes(Collective::all_reduce, 8, 8, 2), ElementsAre(8));
  EXPECT_THAT(row_sizes(Collective::all_reduce, 8, 100, 1), ElementsAre(8));
  EXPECT_THAT(row_sizes(Collective::barrier, 8, 100, 2), ElementsAre(0));
}

TEST(CollectiveRows, BusBandwidthCountsWhatCrossesTheBus) {
  EXPECT_DOUBLE_EQ(bus_factor(Collective::all_reduce, 4), 1.5);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::all_gather, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(Collective::broadcast, 4), 1);
}

TEST(CollectiveRows, ALineHasTheColumnsOfNcclTests) {
  const Row row{.amount = {4096, 1024},
                .type = "float",
                .op = "sum",
                .root = -1,
                .out_of_place = Measured{2e-6, 0},
                .in_place = Measured{1e-6, 3}};
  std::istringstream line(table_line(Collective::all_reduce, row, 4));
  std::vector<std::string> words;
  for (std::string word; line >> word;) {
    words.push_back(word);
  }
  EXPECT_THAT(words, ElementsAre("4096", "1024", "float", "sum", "-1", "2.00", "2.05", "3.07", "0", "1.00", "4.10",
                                 "6.14", "3"));
}

TEST(CollectiveRows, BytesAreReadWithUnits) {
  EXPECT_EQ(parse_bytes("--x", "4096"), 4096);
  EXPECT_EQ(parse_bytes("--x", "64K"), 65536);
  EXPECT_EQ(parse_bytes("--x", "16MiB"), 16 << 20);
  EXPECT_EQ(parse_bytes("--x", "1G"), std::int64_t{1} << 30);
  for (const char* wrong : {"", "K", "-1", "1X", "1.5M", "99999999G", "9223372036854775807"}) {
    EXPECT_THROW(parse_bytes("--x", wrong), Error) << wrong;
  }
}

TEST(CollectiveCheck, FindsEveryWrongElement) {
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    const CheckedData data(dtype, ReduceOp::sum, 3);
    const Array array = Array::empty({10000}, dtype);
    data.fill(array, 1, 7);
    EXPECT_EQ(data.wrong_copies(array, 1, 7), 0);
    EXPECT_GT(data.wrong_copies(array, 1, 8), 1000) << name_of(dtype);
    EXPECT_GT(data.wrong_copies(array, 2, 7), 1000) << name_of(dtype);
    const std::size_t element = size_of(dtype);
    array.bytes_data()[9999 * element] ^= std::byte{1};
    EXPECT_EQ(data.wrong_copies(array, 1, 7), 1);
  }
}

TEST(CollectiveCheck, AgreesWithPlainArithmetic) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max}) {
    const CheckedData data(DType::f64, op, 11);
    const Array result = Array::empty({5000}, DType::f64);
    data.fill(result, 0);
    for (int rank = 1; rank < 11; ++rank) {
      const Array brought = Array::empty({5000}, DType::f64);
      data.fill(brought, rank);
      for (int i = 0; i < 5000; ++i) {
        double& a = result.data<double>()[i];
        const double b = brought.data<double>()[i];
        a = op == ReduceOp::sum       ? a + b
            : op == ReduceOp::product ? a * b
            : op == ReduceOp::min     ? std::min(a, b)
                                      : std::max(a, b);
      }
    }
    EXPECT_EQ(data.wrong_reductions(result), 0);
    result.data<double>()[4999] += 1;
    EXPECT_EQ(data.wrong_reductions(result), 1);
  }
}

TEST(CollectiveRun, EveryCollectiveIsRightOnThreads) {
  testing::internal::CaptureStdout();
  for (const Collective what : {Collective::all_reduce, Collective::reduce_scatter, Collective::all_gather,
                                Collective::all_to_all, Collective::broadcast, Collective::barrier}) {
    comm::run_local(3, [&](comm::World world) {
      const CollectivePlan plan{
          .what = what, .min_bytes = 1, .max_bytes = 1 << 14, .factor = 16, .iterations = 2, .root = 2};
      EXPECT_EQ(run_collective(*world.communicator(), plan), 0);
    });
  }
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_THAT(text, HasSubstr("# Out of bounds values : 0 OK"));
  EXPECT_THAT(text, Not(HasSubstr("FAILED")));
}

TEST(CollectiveRun, EveryDTypeAndOperationIsRightOnThreads) {
  testing::internal::CaptureStdout();
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max}) {
      comm::run_local(9, [&](comm::World world) {
        const CollectivePlan plan{
            .min_bytes = 4000, .max_bytes = 4000, .iterations = 1, .warmup = 0, .dtype = dtype, .op = op};
        EXPECT_EQ(run_collective(*world.communicator(), plan), 0) << name_of(dtype);
      });
    }
  }
  testing::internal::GetCapturedStdout();
}

test::CommandResult bench(std::vector<std::string> words) {
  words.insert(words.begin(), {TRIREME_BIN_DIR "/trireme", "bench"});
  return test::run_command(words);
}

TEST(CollectiveBench, StartsItsOwnProcessesOverSharedMemory) {
  const auto result = bench({"all_reduce", "--ranks", "3", "--max-bytes", "64K", "--iterations", "5"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("# trireme bench: backend shm, 3 ranks on 1 host(s)"));
  EXPECT_THAT(result.out, ContainsRegex("#  Rank   2 Pid +[0-9]+ on "));
  EXPECT_THAT(result.out, ContainsRegex(" 65536 +16384 +float +sum +-1 +[0-9.]+ +[0-9.]+ +[0-9.]+ +0 "));
  EXPECT_THAT(result.out, HasSubstr("# Out of bounds values : 0 OK"));
  EXPECT_THAT(result.out, HasSubstr("# Avg bus bandwidth    : "));
}

TEST(CollectiveBench, StartsThreads) {
  const auto result =
      bench({"all_to_all", "--backend", "local", "--ranks", "2", "--max-bytes", "4K", "--iterations", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("backend local, 2 ranks"));
}

TEST(CollectiveBench, IsOneOfTheRanksOfALauncher) {
  const auto result =
      test::run_command({TRIREME_BIN_DIR "/trireme", "run", "--nproc-per-node", "2", "--", TRIREME_BIN_DIR "/trireme",
                         "bench", "broadcast", "--max-bytes", "4K", "--root", "1", "--iterations", "3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, ContainsRegex("float +none +1 "));
  EXPECT_THAT(result.out, Not(HasSubstr("[rank 1]")));
}

TEST(CollectiveBench, WrongWordsAreOneShortError) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"all_reduce", "--op", "average"},
                                                {"all_reduce", "--dtype", "f8"},
                                                {"all_reduce", "--min-bytes", "1M", "--max-bytes", "1K"},
                                                {"all_reduce", "--ranks", "0"},
                                                {"all_reduce", "--max-bytes", "many"},
                                                {"scan"}}) {
    const auto result = bench(words);
    EXPECT_EQ(result.exit_code, 2) << testing::PrintToString(words) << result.out;
    EXPECT_THAT(result.err, HasSubstr("trireme bench"));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

}  // namespace
}  // namespace trireme::launcher
