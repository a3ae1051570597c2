#include "trireme/comm/reduce_slots.h"

#include <gtest/gtest.h>

#include <cstring>

#include "trireme/core/base/random.h"

namespace trireme::comm {
namespace {

constexpr std::int64_t kCount = 2100;  // more than two blocks

std::vector<Array> sources(int count, DType dtype) {
  std::vector<Array> out;
  for (int s = 0; s < count; ++s) {
    const Array array = Array::empty({kCount}, DType::f64);
    const RandomStream stream(static_cast<std::uint64_t>(s), "slots");
    for (std::int64_t i = 0; i < kCount; ++i) {
      array.data<double>()[i] = 100 * (stream.uniform(static_cast<std::uint64_t>(i)) - 0.5);
    }
    out.push_back(array.to(dtype));
  }
  return out;
}

std::vector<Addition> plan_of(int count) {
  std::vector<Subtree> leaves;
  for (int i = 0; i < count; ++i) {
    leaves.push_back({i, i + 1});
  }
  return reduction_plan(leaves, count);
}

void reduce(const std::vector<Array>& in, const std::vector<Array>& out, ReduceOp op, std::int64_t begin,
            std::int64_t end) {
  const std::size_t offset = static_cast<std::size_t>(begin) * size_of(out[0].dtype());
  std::vector<const std::byte*> sources;
  std::vector<std::byte*> outputs;
  for (const Array& array : in) {
    sources.push_back(array.bytes_data() + offset);
  }
  for (const Array& array : out) {
    outputs.push_back(array.bytes_data() + offset);
  }
  const std::vector<Addition> plan = plan_of(static_cast<int>(in.size()));
  reduce_slots({out[0].dtype(), op, plan, sources, outputs}, end - begin);
}

class ReduceSlots : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sources, ReduceSlots, testing::Values(1, 2, 3, 5, 8, 13));

TEST_P(ReduceSlots, AnElementsBitsDoNotDependOnTheCut) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64, DType::u8}) {
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max}) {
      const std::vector<Array> in = sources(GetParam(), dtype);
      const Array whole = Array::zeros({kCount}, dtype);
      reduce(in, {whole}, op, 0, kCount);
      for (const std::int64_t cut : {1, 2, 7, 16, 63, 1023, 1025, 2099}) {
        const Array cut_up = Array::zeros({kCount}, dtype);
        const Array copy = Array::zeros({kCount}, dtype);
        const Array third = Array::zeros({kCount}, dtype);
        reduce(in, {cut_up, copy, third}, op, 0, cut);
        reduce(in, {cut_up, copy, third}, op, cut, kCount);
        for (const Array& got : {cut_up, copy, third}) {
          ASSERT_EQ(std::memcmp(got.bytes_data(), whole.bytes_data(), whole.bytes()), 0)
              << name_of(dtype) << " cut at " << cut << ", operation " << static_cast<int>(op);
        }
      }
    }
  }
}

TEST_P(ReduceSlots, AnOutputMayBeAnySource) {
  const std::vector<Array> in = sources(GetParam(), DType::f32);
  const Array expected = Array::zeros({kCount});
  reduce(in, {expected}, ReduceOp::sum, 0, kCount);
  reduce(in, in, ReduceOp::sum, 0, kCount);
  for (const Array& array : in) {
    EXPECT_EQ(std::memcmp(array.bytes_data(), expected.bytes_data(), expected.bytes()), 0);
  }
}

TEST(ReduceSlotsOfNothing, IsZero) {
  const Array out = Array::full({5}, 3.0);
  std::byte* const to = out.bytes_data();
  reduce_slots({DType::f32, ReduceOp::sum, {}, {}, {&to, 1}}, 5);
  EXPECT_EQ(out.to_vector<float>(), std::vector<float>(5));
}

}  // namespace
}  // namespace trireme::comm
