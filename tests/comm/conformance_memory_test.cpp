// Memory that ranks have in common, where they can.
#include "tests/comm/conformance.h"

namespace trireme::test {
namespace {

using comm::Communicator;

class CommonMemory : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Worlds, CommonMemory, worlds(), world_name);

// Shared by all ranks or had by none; kept by those who still hold it.
TEST_P(CommonMemory, IsSeenByAllAndKeptByWhoStillHoldsIt) {
  run([](Communicator& comm) {
    constexpr std::int64_t kRow = 5001;
    Array common = comm.allocate_shared({comm.size(), kRow}, DType::f32);
    const Array have = Array::full({1}, common.defined() ? 1 : 0, DType::i64);
    comm.all_reduce(have).wait();
    ASSERT_TRUE(have.item() == 0 || have.item() == comm.size());
    if (!common.defined()) {
      return;
    }
    ASSERT_EQ(common.shape(), (Shape{comm.size(), kRow}));
    expect_elements(
        common.select(0, comm.rank()), [](std::int64_t) { return 0; }, "before");
    common.select(0, comm.rank()).fill(comm.rank() + 1);
    comm.barrier().wait();
    const auto expect_rows = [&] {
      for (int rank = 0; rank < comm.size(); ++rank) {
        expect_elements(
            common.select(0, rank), [&](std::int64_t) { return rank + 1; }, "of rank " + std::to_string(rank));
      }
    };
    expect_rows();
    comm.barrier().wait();
    if (comm.rank() == 0) {
      common = Array();
    }
    comm.barrier().wait();
    const Array another = comm.allocate_shared({comm.size(), kRow}, DType::f32);
    another.fill(-1);
    if (comm.rank() != 0) {
      expect_rows();
    }
  });
}

TEST_P(CommonMemory, IsHadByTheRanksOfASplitToo) {
  run([](Communicator& comm) {
    const auto half = comm.split(comm.rank() % 2, comm.rank());
    const Array common = half->allocate_shared({half->size()}, DType::i64);
    if (!common.defined()) {
      return;
    }
    common.data<std::int64_t>()[half->rank()] = comm.rank();
    half->barrier().wait();
    for (int rank = 0; rank < half->size(); ++rank) {
      EXPECT_EQ(common.data<std::int64_t>()[rank], 2 * rank + comm.rank() % 2);
    }
  });
}

}  // namespace
}  // namespace trireme::test
