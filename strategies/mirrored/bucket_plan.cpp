#include "trireme/strategies/mirrored/bucket_plan.h"

namespace trireme::strategies {

std::vector<Bucket> plan_buckets(std::span<const std::int64_t> element_counts, std::span<const std::size_t> order,
                                 std::size_t element_bytes, std::size_t first_bytes, std::size_t bytes) {
  std::vector<Bucket> buckets;
  Bucket open;
  for (const std::size_t parameter : order) {
    open.entries.push_back({parameter, open.elements});
    open.elements += padded_to_lines(element_counts[parameter]);
    const std::size_t limit = buckets.empty() ? first_bytes : bytes;
    if (static_cast<std::size_t>(open.elements) * element_bytes >= limit) {
      buckets.push_back(std::move(open));
      open = Bucket{};
    }
  }
  if (!open.entries.empty()) {
    buckets.push_back(std::move(open));
  }
  return buckets;
}

}  // namespace trireme::strategies
