// Which parameters share a bucket. Pure arithmetic; the layout of PyTorch's DDP (Li et al., VLDB 2020, section 4.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "trireme/sharding/unit_plan.h"

namespace trireme::strategies {

struct BucketEntry {
  std::size_t parameter = 0;  // index into the caller's list
  std::int64_t offset = 0;    // of its first element within the bucket; a multiple of 16 elements (a cache line of f32)
};

struct Bucket {
  std::vector<BucketEntry> entries;
  std::int64_t elements = 0;  // padding included
};

using sharding::padded_to_lines;

// Cuts parameters, taken in `order` (the order in which their gradients become ready), into buckets: one is closed as
// soon as it holds at least its limit: `first_bytes` for the first, so that communication starts early, then `bytes`.
// A parameter larger than the limit has a bucket of its own, shared with what came before it.
std::vector<Bucket> plan_buckets(std::span<const std::int64_t> element_counts, std::span<const std::size_t> order,
                                 std::size_t element_bytes, std::size_t first_bytes, std::size_t bytes);

}  // namespace trireme::strategies
