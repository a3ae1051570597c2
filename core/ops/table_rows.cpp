#include "trireme/core/ops/table_rows.h"

#include <algorithm>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/base/step_context.h"

namespace trireme::ops {

TableRows table_rows(const Tensor& table, const Array& indices) {
  if (table.array().has_data() || table.count() == 0) {
    return {table.array().contiguous(), indices};
  }
  StepOwner* const owner = step_context().owner;
  require(owner != nullptr && table.node().get() != nullptr,
          "embedding: table {} has no values; call strategy.prepare() or initialize() first", table.array());
  const Array wanted = indices.to(DType::i64);
  for (const std::int64_t index : wanted.span<std::int64_t>()) {
    require(index >= 0 && index < table.size(0), "embedding: index {} given for a table of {} rows; [0, {}) expected",
            index, table.size(0), table.size(0));
  }
  const SparseRows found = owner->rows_of(table.node().get(), wanted.flatten());
  const auto rows = found.rows.span<std::int64_t>();
  Array positions = Array::empty(wanted.shape(), DType::i64);
  std::ranges::transform(wanted.span<std::int64_t>(), positions.data<std::int64_t>(),
                         [&](std::int64_t index) { return std::ranges::lower_bound(rows, index) - rows.begin(); });
  return {found.values, positions};
}

}  // namespace trireme::ops
