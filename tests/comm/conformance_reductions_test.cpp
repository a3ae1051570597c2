// The canonical reduction, bit for bit, against an oracle written from its definition: one binary tree over leaves,
// absent leaves skipped.
#include <cstring>
#include <optional>

#include "tests/comm/conformance.h"
#include "trireme/core/base/random.h"

namespace trireme::test {
namespace {

using comm::Communicator;
using comm::Part;
using comm::ReductionLayout;

// Leaf values whose sum depends on the order of additions.
double leaf_value(std::int64_t leaf, std::int64_t i) {
  return (RandomStream(7, "leaves").uniform(static_cast<std::uint64_t>(leaf * 1000003 + i)) - 0.5) *
         (1 + static_cast<double>(i % 7) * 1e3);
}

template <class T>
std::optional<T> tree_sum(const BatchSplit& split, std::int64_t begin, std::int64_t end, std::int64_t i) {
  if (end - begin == 1) {
    return split.items_of(begin) > 0 ? std::optional<T>(static_cast<T>(leaf_value(begin, i))) : std::nullopt;
  }
  std::int64_t half = 1;
  while (2 * half < end - begin) {
    half *= 2;
  }
  const std::optional<T> left = tree_sum<T>(split, begin, begin + half, i);
  const std::optional<T> right = tree_sum<T>(split, begin + half, end, i);
  return left && right ? std::optional<T>(*left + *right) : left ? left : right;
}

template <class T>
std::vector<Part> parts_of(Communicator& comm, const BatchSplit& split, std::int64_t count,
                           const Conformance::Make& make) {
  std::vector<Part> parts;
  for (const Subtree subtree : split.parts_of(comm.rank(), comm.size())) {
    const Array array = make({count}, dtype_of<T>);
    for (std::int64_t i = 0; i < count; ++i) {
      array.data<T>()[i] = *tree_sum<T>(split, subtree.begin, subtree.end, i);
    }
    parts.push_back({subtree, array});
  }
  return parts;
}

template <class T>
void expect_bits(const Array& got, const BatchSplit& split, std::int64_t first, const std::string& what) {
  for (std::int64_t i = 0; i < got.count(); ++i) {
    const T expected = tree_sum<T>(split, 0, split.leaves(), first + i).value_or(T(0));
    ASSERT_EQ(std::memcmp(&got.data<T>()[i], &expected, sizeof(T)), 0)
        << what << ", element " << first + i << ": " << got.data<T>()[i] << " is not " << expected;
  }
}

// lanes, micro-batches a lane, items. With few items whole lanes, ranks, and subtrees are absent.
std::vector<BatchSplit> splits(int size) {
  const std::int64_t n = size;
  return {{n, 1, n},     {n, 1, 0},      {n, 1, (n + 1) / 2}, {n + 3, 1, 2 * n + 5}, {2 * n + 1, 2, 4 * n + 2},
          {4 * n, 1, n}, {12 + n, 1, 1}, {3 * n, 3, 7}};
}

std::string describe(const BatchSplit& split) {
  return std::to_string(split.lanes) + " lanes x " + std::to_string(split.accumulate) + ", " +
         std::to_string(split.items) + " items";
}

class Reductions : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Worlds, Reductions, worlds(), world_name);

template <class T>
void check_all_reduce_parts(Communicator& comm, const Conformance::Make& make, std::int64_t count) {
  for (const BatchSplit& split : splits(comm.size())) {
    const auto layout = ReductionLayout::make(split, comm.size());
    const std::vector<Part> parts = parts_of<T>(comm, split, count, make);
    const Array apart = make({count}, dtype_of<T>);
    apart.fill(99);
    const Array output = parts.empty() ? apart : parts.back().array;  // in place where there is something
    comm.all_reduce_parts(parts, layout, output, {.name = "canonical"}).wait();
    expect_bits<T>(output, split, 0, describe(split));
  }
}

TEST_P(Reductions, AllReducePartsHasTheBitsOfTheTree) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t count : {0, 1, 37, 1111}) {
      check_all_reduce_parts<float>(comm, make, count);
      check_all_reduce_parts<double>(comm, make, count);
    }
  });
}

TEST_P(Reductions, LongPartsHaveTheBitsOfTheTree) {
  run_both([](Communicator& comm, const Make& make) { check_all_reduce_parts<float>(comm, make, 10007); });
}

TEST_P(Reductions, ReduceScatterPartsHasTheBitsOfTheTree) {
  run_both([](Communicator& comm, const Make& make) {
    for (const std::int64_t scale : {1, 700}) {
      std::vector<std::int64_t> offsets{0};
      for (int rank = 0; rank < comm.size(); ++rank) {
        offsets.push_back(offsets.back() + ((rank + 2) % 3) * scale + (rank == 1 ? 5 : 0));
      }
      for (const BatchSplit& split : splits(comm.size())) {
        const auto r = static_cast<std::size_t>(comm.rank());
        const Array output = make({offsets[r + 1] - offsets[r]}, DType::f32);
        comm.reduce_scatter_parts(parts_of<float>(comm, split, offsets.back(), make),
                                  ReductionLayout::make(split, comm.size()), offsets, output)
            .wait();
        expect_bits<float>(output, split, offsets[r], describe(split));
      }
    }
  });
}

TEST_P(Reductions, AllReduceAddsInTheTreeOverRanks) {
  run_both([](Communicator& comm, const Make& make) {
    const BatchSplit one_each{comm.size(), 1, comm.size()};
    for (const std::int64_t count : {37, 5003, 20001}) {
      const Array array = make({count}, DType::f32);
      for (std::int64_t i = 0; i < count; ++i) {
        array.data<float>()[i] = static_cast<float>(leaf_value(comm.rank(), i));
      }
      comm.all_reduce(array).wait();
      expect_bits<float>(array, one_each, 0, "all_reduce");
    }
  });
}

TEST_P(Reductions, HalvesAreAddedInSinglePrecisionAndRoundedOnce) {
  run_both([](Communicator& comm, const Make& make) {
    const std::int64_t count = 12011;
    const Array array = make({count}, DType::bf16);
    const auto value = [](std::int64_t rank, std::int64_t i) {
      return BFloat16(static_cast<float>(leaf_value(rank, i)));
    };
    for (std::int64_t i = 0; i < count; ++i) {
      array.data<BFloat16>()[i] = value(comm.rank(), i);
    }
    comm.all_reduce(array).wait();
    const std::vector<Addition> plan = ReductionLayout::make({comm.size(), 1, comm.size()}, comm.size())->plan;
    for (std::int64_t i = 0; i < count; ++i) {
      std::vector<float> sums;
      for (int rank = 0; rank < comm.size(); ++rank) {
        sums.push_back(static_cast<float>(value(rank, i)));
      }
      for (const Addition add : plan) {
        sums[static_cast<std::size_t>(add.target)] += sums[static_cast<std::size_t>(add.source)];
      }
      ASSERT_EQ(array.data<BFloat16>()[i].bits, BFloat16(sums[0]).bits) << "element " << i;
    }
  });
}

}  // namespace
}  // namespace trireme::test
