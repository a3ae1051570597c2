// Collectives against plain oracles: every count, dtype and kind of array.
#include "tests/comm/conformance.h"

#include <cmath>

namespace trireme::test {
namespace {

using comm::Communicator;
using comm::ReduceOp;
using comm::Work;

std::string label(std::string_view what, DType dtype, std::int64_t count) {
  return std::string(what) + " of " + std::string(name_of(dtype)) + " x " + std::to_string(count);
}

double combine(ReduceOp op, double a, double b) {
  switch (op) {
    case ReduceOp::sum:
      return a + b;
    case ReduceOp::product:
      return a * b;
    case ReduceOp::min:
      return std::min(a, b);
    case ReduceOp::max:
      return std::max(a, b);
  }
  return a;
}

double combined(ReduceOp op, int size, std::int64_t i) {
  double out = small_value(0, i);
  for (int rank = 1; rank < size; ++rank) {
    out = combine(op, out, small_value(rank, i));
  }
  return out;
}

// Of booleans, sum and max are "or", product and min "and".
double expected_reduction(ReduceOp op, DType dtype, int size, std::int64_t i) {
  if (dtype != DType::boolean) {
    return combined(op, size, i);
  }
  bool any = false;
  bool all = true;
  for (int rank = 0; rank < size; ++rank) {
    any = any || small_value(rank, i) != 0;
    all = all && small_value(rank, i) != 0;
  }
  return (op == ReduceOp::sum || op == ReduceOp::max) ? any : all;
}

class Collectives : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Worlds, Collectives, worlds(), world_name);

TEST_P(Collectives, AllReduceGivesEveryRankTheReduction) {
  run_both([](Communicator& comm, const Make& make) {
    for (const DType dtype : kAllDTypes) {
      for (const std::int64_t count : {0, 1, 17, 4099}) {
        for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max}) {
          const Array array = make({count}, dtype);
          fill_small(array, comm.rank());
          comm.all_reduce(array, op).wait();
          expect_elements(
              array, [&](std::int64_t i) { return expected_reduction(op, dtype, comm.size(), i); },
              label("all_reduce", dtype, count));
        }
      }
    }
  });
}

TEST_P(Collectives, AllReduceOfAnySize) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t count : kCounts) {
      const Array array = make({count}, DType::f32);
      fill_small(array, comm.rank());
      comm.all_reduce(array).wait();
      expect_elements(
          array, [&](std::int64_t i) { return combined(ReduceOp::sum, comm.size(), i); },
          label("all_reduce", DType::f32, count));
    }
  });
}

TEST_P(Collectives, IntegersWrap) {
  run([](Communicator& comm) {
    const Array array = Array::full({3}, 2147483647.0, DType::i32);
    comm.all_reduce(array).wait();
    std::uint32_t expected = 0;
    for (int rank = 0; rank < comm.size(); ++rank) {
      expected += 2147483647u;
    }
    EXPECT_EQ(array.data<std::int32_t>()[2], static_cast<std::int32_t>(expected));
  });
}

TEST_P(Collectives, ReduceScatterGivesEachRankItsPiece) {
  run_both([](Communicator& comm, const Make& make) {
    for (const DType dtype : kAllDTypes) {
      for (const std::int64_t piece : {0, 1, 129, 50001}) {
        const Array input = make({comm.size() * piece}, dtype);
        const Array output = make({piece}, dtype);
        fill_small(input, comm.rank());
        comm.reduce_scatter(input, output).wait();
        expect_elements(
            output,
            [&](std::int64_t i) {
              return expected_reduction(ReduceOp::sum, dtype, comm.size(), comm.rank() * piece + i);
            },
            label("reduce_scatter", dtype, piece));
      }
    }
  });
}

TEST_P(Collectives, AllGatherJoinsTheInputsInRankOrder) {
  run_both([](Communicator& comm, const Make& make) {
    for (const DType dtype : kAllDTypes) {
      for (const std::int64_t piece : {0, 1, 129, 70001}) {
        const Array input = make({piece}, dtype);
        const Array output = make({comm.size() * piece}, dtype);
        fill_small(input, comm.rank());
        comm.all_gather(input, output).wait();
        for (int rank = 0; rank < comm.size(); ++rank) {
          const Array expected = Array::empty({piece}, dtype);
          fill_small(expected, rank);
          expect_elements(
              output.narrow(0, rank * piece, piece),
              [&, values = expected.to_vector<double>()](std::int64_t i) {
                return values[static_cast<std::size_t>(i)];
              },
              label("all_gather", dtype, piece));
        }
      }
    }
  });
}

TEST_P(Collectives, AllGatherInPlace) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t piece : {5, 100003}) {
      const Array all = make({comm.size() * piece}, DType::f32);
      const Array own = all.narrow(0, comm.rank() * piece, piece);
      fill_small(own, comm.rank());
      comm.all_gather(own, all).wait();
      expect_elements(
          all, [&](std::int64_t i) { return small_value(static_cast<int>(i / piece), i % piece); }, "in place");
    }
  });
}

TEST_P(Collectives, AllGatherOfUnevenAndEmptyPieces) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t scale : {1, 33333}) {
      std::vector<std::int64_t> offsets{0};
      for (int rank = 0; rank < comm.size(); ++rank) {
        offsets.push_back(offsets.back() + (rank % 3) * scale);  // ranks 0, 3 and 6 bring nothing
      }
      const Array input = make({(comm.rank() % 3) * scale}, DType::i64);
      const Array output = make({offsets.back()}, DType::i64);
      fill_small(input, comm.rank());
      comm.all_gather_v(input, output, offsets).wait();
      for (int rank = 0; rank < comm.size(); ++rank) {
        const std::int64_t begin = offsets[static_cast<std::size_t>(rank)];
        expect_elements(
            output.narrow(0, begin, offsets[static_cast<std::size_t>(rank) + 1] - begin),
            [&](std::int64_t i) { return small_value(rank, i); }, "all_gather_v");
      }
    }
  });
}

TEST_P(Collectives, AllToAllTransposesPieces) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t piece : {0, 1, 129, 40001}) {
      const Array input = make({comm.size() * piece}, DType::f64);
      const Array output = make({comm.size() * piece}, DType::f64);
      for (std::int64_t i = 0; i < input.count(); ++i) {
        input.data<double>()[i] = comm.rank() * 1e6 + static_cast<double>(i);
      }
      comm.all_to_all(input, output).wait();
      expect_elements(
          output,
          [&](std::int64_t i) {
            return static_cast<double>(i / piece) * 1e6 + static_cast<double>(comm.rank() * piece + i % piece);
          },
          label("all_to_all", DType::f64, piece));
    }
  });
}

TEST_P(Collectives, BroadcastFromEveryRoot) {
  run_both([](Communicator& comm, const Make& make) {
    for (int root = 0; root < comm.size(); ++root) {
      for (const std::int64_t count : {0, 7, 200003}) {
        const Array array = make({count}, DType::u8);
        fill_small(array, comm.rank() == root ? root : comm.rank() + 1);
        comm.broadcast(array, root).wait();
        expect_elements(
            array, [&](std::int64_t i) { return small_value(root, i); }, label("broadcast", DType::u8, count));
      }
    }
  });
}

TEST_P(Collectives, RanksMayBringDifferentKindsOfArrays) {
  run([](Communicator& comm) {
    const Shape shape{200001};
    const Array array = comm.rank() % 2 == 0 ? comm.allocate(shape, DType::f32) : Array::empty(shape);
    fill_small(array, comm.rank());
    comm.all_reduce(array).wait();
    expect_elements(
        array, [&](std::int64_t i) { return combined(ReduceOp::sum, comm.size(), i); }, "mixed");
  });
}

TEST_P(Collectives, ManyOperationsInFlightOfMixedSizes) {
  run_both([](Communicator& comm, const Make& make) {
    std::vector<Array> arrays;
    std::vector<Work> works;
    for (int i = 0; i < 200; ++i) {
      arrays.push_back(make({i % 10 == 9 ? 20000 + i : 1 + i % 5}, DType::f32));
      fill_small(arrays.back(), comm.rank());
      works.push_back(comm.all_reduce(arrays.back()));
    }
    for (std::size_t i = works.size(); i-- > 0;) {  // in any order
      works[i].wait();
      EXPECT_TRUE(works[i].done());
      expect_elements(
          arrays[i], [&](std::int64_t k) { return combined(ReduceOp::sum, comm.size(), k); }, "in flight");
    }
  });
}

TEST_P(Collectives, PollingAloneCompletesAnOperation) {
  run([](Communicator& comm) {
    const Array array = Array::full({100000}, 1.0);
    const Work work = comm.all_reduce(array);
    while (!work.done()) {
    }
    EXPECT_EQ(array.data<float>()[99999], static_cast<float>(comm.size()));
  });
}

TEST_P(Collectives, DroppingAHandleDoesNotLoseTheOperation) {
  run([](Communicator& comm) {
    const Array array = Array::full({1000}, 1.0);
    comm.all_reduce(array);
    comm.barrier().wait();  // completes in order
    EXPECT_EQ(array.data<float>()[0], static_cast<float>(comm.size()));
  });
}

TEST_P(Collectives, BarrierHoldsEveryRankUntilTheLastArrives) {
  run([](Communicator& comm) {
    const Array counts = Array::zeros({comm.size()}, DType::i32);
    for (int turn = 0; turn < 50; ++turn) {
      comm.barrier().wait();
    }
    counts.data<std::int32_t>()[comm.rank()] = 50;
    comm.all_reduce(counts).wait();
    expect_elements(
        counts, [](std::int64_t) { return 50; }, "barriers passed");
  });
}

TEST_P(Collectives, SplitMakesIndependentCommunicators) {
  run([](Communicator& comm) {
    const auto half = comm.split(comm.rank() % 2, -comm.rank());  // each half in reverse order
    const int members = (comm.size() + (comm.rank() % 2 == 0 ? 1 : 0)) / 2;
    ASSERT_NE(half, nullptr);
    EXPECT_EQ(half->size(), members);
    EXPECT_EQ(half->rank(), members - 1 - comm.rank() / 2);
    EXPECT_EQ(half->backend(), comm.backend());
    const Array array = comm.allocate({70001}, DType::f32);  // an array of the parent is as good
    array.fill(comm.rank());
    half->all_reduce(array).wait();
    double expected = 0;
    for (int rank = comm.rank() % 2; rank < comm.size(); rank += 2) {
      expected += rank;
    }
    EXPECT_EQ(array.data<float>()[70000], static_cast<float>(expected));
    const auto none = comm.split(comm.rank() == 0 ? -1 : 0, 0);
    EXPECT_EQ(none == nullptr, comm.rank() == 0);
    comm.barrier().wait();
  });
}

// Of all ranks together: who moves how much depends on how they are connected. A host may bring several partial sums
// where its ranks are no neighbours in the tree; never twice the bytes.
TEST_P(Collectives, CountsBytesMoved) {
  run([](Communicator& comm) {
    const std::uint64_t before = comm.bytes_moved();
    const std::int64_t count = static_cast<std::int64_t>(comm.size()) * 2520 * 16;  // any cut of it is exact
    comm.all_reduce(Array::zeros({count})).wait();
    const Array moved = Array::full({1}, static_cast<double>(comm.bytes_moved() - before), DType::i64);
    comm.all_reduce(moved).wait();
    const double least = 2.0 * 4.0 * static_cast<double>(count * (comm.size() - 1));
    EXPECT_GE(moved.item(), least);
    EXPECT_LE(moved.item(), 2 * least);
  });
}

}  // namespace
}  // namespace trireme::test
