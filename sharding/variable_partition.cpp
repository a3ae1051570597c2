#include "trireme/sharding/variable_partition.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/optim/rows.h"

namespace trireme::sharding {
namespace {

constexpr std::int64_t kElementBytes = 4;

std::int64_t wanted_pieces(const Shape& variable, const FixedShards& fixed) {
  (void)variable;
  require_usage(fixed.shards > 0, "FixedShards: {} shards given, 1 or more expected", fixed.shards);
  return fixed.shards;
}

std::int64_t wanted_pieces(const Shape& variable, const MinSize& limit) {
  require_usage(limit.min_bytes > 0 && limit.max_shards > 0,
                "MinSize: at least {} bytes and at most {} shards given, 1 or more of both expected", limit.min_bytes,
                limit.max_shards);
  return std::min<std::int64_t>(variable.count() * kElementBytes / limit.min_bytes, limit.max_shards);
}

std::int64_t wanted_pieces(const Shape& variable, const MaxSize& limit) {
  require_usage(limit.max_bytes > 0 && limit.max_shards >= 0,
                "MaxSize: at most {} bytes and at most {} shards given, 1 or more bytes and 0 (any) or more shards "
                "expected",
                limit.max_bytes, limit.max_shards);
  const std::int64_t row_bytes = std::max<std::int64_t>(1, optim::row_length(variable)) * kElementBytes;
  const std::int64_t rows = std::max<std::int64_t>(1, limit.max_bytes / row_bytes);
  const std::int64_t pieces = (row_count(variable) + rows - 1) / rows;
  return limit.max_shards > 0 ? std::min<std::int64_t>(pieces, limit.max_shards) : pieces;
}

}  // namespace

int pieces_of(const Shape& variable, const Partitioner& partitioner) {
  const std::int64_t wanted = std::visit([&](const auto& rule) { return wanted_pieces(variable, rule); }, partitioner);
  return static_cast<int>(std::min(row_count(variable), std::max<std::int64_t>(1, wanted)));
}

std::vector<VariablePiece> partition_variables(std::span<const Shape> variables, int servers,
                                               const Partitioner& partitioner) {
  require_usage(servers > 0, "partition_variables: {} servers given, 1 or more expected", servers);
  std::vector<std::int64_t> load(static_cast<std::size_t>(servers), 0);
  std::vector<VariablePiece> pieces;
  for (std::size_t v = 0; v < variables.size(); ++v) {
    const std::int64_t rows = row_count(variables[v]);
    const int count = pieces_of(variables[v], partitioner);
    std::int64_t begin = 0;
    for (int p = 0; p < count; ++p) {
      const std::int64_t size = rows / count + (p < rows % count ? 1 : 0);
      const auto least = std::ranges::min_element(load);
      pieces.push_back({static_cast<int>(v), static_cast<int>(least - load.begin()), {begin, begin + size}});
      *least += size * optim::row_length(variables[v]) * kElementBytes;
      begin += size;
    }
  }
  return pieces;
}

}  // namespace trireme::sharding
