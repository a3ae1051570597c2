// Every operation gives the bits of the local backend, however ranks are spread over hosts and lanes over ranks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "trireme/comm/environment.h"
#include "trireme/comm/hierarchical/hierarchical.h"
#include "trireme/core/base/random.h"

namespace trireme::comm {
namespace {

// Draws that do not depend on the rank that asks.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : stream_(seed, "hosts") {}
  int below(int n) { return static_cast<int>(stream_.uniform(next_++) * n) % n; }

 private:
  RandomStream stream_;
  std::uint64_t next_ = 0;
};

std::vector<std::vector<int>> random_hosts(Dice& dice, int size) {
  std::vector<std::vector<int>> hosts(static_cast<std::size_t>(1 + dice.below(size)));
  const bool cyclic = dice.below(2) == 0;
  for (int rank = 0; rank < size; ++rank) {
    const auto count = static_cast<int>(hosts.size());
    hosts[static_cast<std::size_t>(cyclic ? dice.below(count) : rank * count / size)].push_back(rank);
  }
  std::erase_if(hosts, [](const auto& ranks) { return ranks.empty(); });
  return hosts;
}

std::string describe(const std::vector<std::vector<int>>& hosts) {
  std::string text;
  for (const std::vector<int>& ranks : hosts) {
    text += fmt::format("{{{}}} ", fmt::join(ranks, ","));
  }
  return text;
}

std::shared_ptr<Communicator> joined(const std::vector<std::vector<int>>& hosts, const World& world) {
  int host = 0;
  while (std::count(hosts[static_cast<std::size_t>(host)].begin(), hosts[static_cast<std::size_t>(host)].end(),
                    world.rank()) == 0) {
    ++host;
  }
  return connect_hierarchical(hosts, world->split(host, world.rank()), world.communicator());
}

Array values(int rank, int which, std::int64_t count, DType dtype) {
  const Array wide = Array::empty({count});
  const RandomStream stream(static_cast<std::uint64_t>(rank * 100 + which), "values");
  for (std::int64_t i = 0; i < count; ++i) {
    wide.data<float>()[i] = static_cast<float>((stream.uniform(static_cast<std::uint64_t>(i)) - 0.5) *
                                               std::pow(10.0, static_cast<double>(i % 5)));
  }
  return wide.to(dtype);
}

void expect_equal(const Array& got, const Array& expected, const std::string& what) {
  ASSERT_EQ(got.bytes(), expected.bytes());
  EXPECT_EQ(std::memcmp(got.bytes_data(), expected.bytes_data(), got.bytes()), 0) << what;
}

// A reduction of parts on both communicators.
void check_parts(Communicator& hosts, Communicator& plain, const BatchSplit& split, std::int64_t count,
                 const std::string& what) {
  const auto layout = ReductionLayout::make(split, plain.size());
  std::vector<std::int64_t> offsets{0};
  for (int rank = 0; rank < plain.size(); ++rank) {
    offsets.push_back(count * (rank + 1) * (rank + 1) / plain.size() / plain.size());
  }
  const auto r = static_cast<std::size_t>(plain.rank());
  const auto parts = [&] {
    std::vector<Part> out;
    for (const Subtree subtree : split.parts_of(plain.rank(), plain.size())) {
      out.push_back({subtree, values(plain.rank(), static_cast<int>(out.size()), count, DType::f32)});
    }
    return out;
  };
  const Array all = Array::full({count}, 5);
  const Array expected = Array::full({count}, 6);
  hosts.all_reduce_parts(parts(), layout, all).wait();
  plain.all_reduce_parts(parts(), layout, expected).wait();
  expect_equal(all, expected, "all_reduce_parts, " + what);
  const Array piece = Array::full({offsets[r + 1] - offsets[r]}, 5);
  hosts.reduce_scatter_parts(parts(), layout, offsets, piece).wait();
  if (piece.count() > 0) {
    expect_equal(piece, expected.narrow(0, offsets[r], piece.count()), "reduce_scatter_parts, " + what);
  }
}

void check_arrays(Communicator& hosts, Communicator& plain, std::int64_t count, const std::string& what) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::boolean}) {
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max}) {
      const Array mine = values(plain.rank(), 7, count * plain.size(), dtype);
      const Array got = mine.clone();
      const Array expected = mine.clone();
      hosts.all_reduce(got, op).wait();
      plain.all_reduce(expected, op).wait();
      expect_equal(got, expected, "all_reduce, " + what);
      const Array piece = Array::empty({count}, dtype);
      hosts.reduce_scatter(mine, piece, op).wait();
      expect_equal(piece, expected.narrow(0, plain.rank() * count, count), "reduce_scatter, " + what);
    }
  }
}

TEST(HierarchicalBits, AreThoseOfTheLocalBackendOnRandomHostsAndLanes) {
  for (int turn = 0; turn < 40; ++turn) {
    Dice dice(static_cast<std::uint64_t>(turn));
    const int size = 2 + dice.below(6);
    const auto hosts = random_hosts(dice, size);
    const std::int64_t lanes = size + dice.below(3 * size);
    const std::int64_t micro_batches = 1 + dice.below(3);
    const BatchSplit split{lanes, micro_batches, dice.below(static_cast<int>(2 * lanes))};
    const std::int64_t count = 1 + dice.below(300);
    const std::string what = fmt::format("turn {}, hosts {}, {} lanes x {}, {} items, {} elements", turn,
                                         describe(hosts), lanes, micro_batches, split.items, count);
    run_local(size, [&](World world) {
      const auto plain = world->split(0, world.rank());
      const auto on_hosts = joined(hosts, world);
      check_parts(*on_hosts, *plain, split, count, what);
      if (turn % 4 == 0) {
        check_arrays(*on_hosts, *plain, 1 + count / 8, what);
      }
    });
  }
}

// Longer than a piece, so that several are on their way at once.
TEST(HierarchicalBits, AreThoseOfTheLocalBackendForManyPieces) {
  const std::vector<std::vector<int>> hosts{{0, 1}, {2, 3, 4}};
  run_local(5, [&](World world) {
    const auto plain = world->split(0, world.rank());
    check_parts(*joined(hosts, world), *plain, {12, 1, 12}, 2'500'000, "long");
  });
}

TEST(HierarchicalBits, FastOrderIsARightSumAndTheSameOnAllRanks) {
  const std::vector<std::vector<int>> hosts{{0, 2}, {1, 3, 4}};
  run_local(5, [&](World world) {
    const auto on_hosts = joined(hosts, world);
    const Array sum = Array::full({1000}, world.rank() + 1);
    on_hosts->all_reduce(sum, ReduceOp::sum, {.order = ReduceOrder::fast}).wait();
    EXPECT_EQ(sum.to_vector<double>(), std::vector<double>(1000, 15));
  });
}

}  // namespace
}  // namespace trireme::comm
