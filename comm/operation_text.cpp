#include "trireme/comm/operation_text.h"

#include "trireme/core/base/activity.h"
#include "trireme/core/base/host.h"

namespace trireme::comm {

std::string_view name_of(OpKind kind) {
  switch (kind) {
    case OpKind::all_reduce:
      return "all_reduce";
    case OpKind::all_reduce_parts:
      return "all_reduce_parts";
    case OpKind::reduce_scatter:
      return "reduce_scatter";
    case OpKind::reduce_scatter_parts:
      return "reduce_scatter_parts";
    case OpKind::all_gather:
      return "all_gather";
    case OpKind::all_to_all:
      return "all_to_all";
    case OpKind::broadcast:
      return "broadcast";
    case OpKind::send:
      return "send";
    case OpKind::recv:
      return "recv";
    case OpKind::barrier:
      return "barrier";
  }
  return "unknown operation";
}

std::string describe(OpKind kind, std::uint64_t sequence, std::string_view name) {
  return name.empty() ? fmt::format("{} #{}", name_of(kind), sequence)
                      : fmt::format("{} #{} \"{}\"", name_of(kind), sequence, name);
}

std::string describe(const Operation& operation) {
  return describe(operation.kind, operation.sequence, operation.name.view());
}

std::string describe_ranks(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    text += i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  return text;
}

namespace {

// What all ranks have in common: the full array.
const Array& full_array(const Operation& operation) {
  switch (operation.kind) {
    case OpKind::all_gather:
      return operation.output;
    case OpKind::reduce_scatter:
    case OpKind::all_to_all:
    case OpKind::send:
      return operation.input;
    default:
      return operation.output;
  }
}

}  // namespace

std::int64_t count_of(const Operation& operation) {
  return operation.kind == OpKind::reduce_scatter_parts ? operation.offsets.back() : full_array(operation).count();
}

DType dtype_of_operation(const Operation& operation) { return full_array(operation).dtype(); }

std::uint64_t traffic_of(const Operation& operation, int rank, int size) {
  const auto bytes = static_cast<std::uint64_t>(count_of(operation)) * size_of(dtype_of_operation(operation));
  const auto n = static_cast<std::uint64_t>(size);
  const std::uint64_t others = bytes / n * (n - 1);
  const std::uint64_t parts =
      operation.layout == nullptr ? 0 : static_cast<std::uint64_t>(operation.layout->most_parts);
  switch (operation.kind) {
    case OpKind::all_reduce:
      return 2 * others;
    case OpKind::all_reduce_parts:
      return (parts + 1) * others;
    case OpKind::reduce_scatter_parts:
      return parts * others;
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::all_to_all:
      return others;
    case OpKind::broadcast:
      return rank == operation.peer ? 0 : bytes;
    case OpKind::send:
    case OpKind::recv:
      return bytes;
    case OpKind::barrier:
      return 0;
  }
  return 0;
}

CommError comm_error(const Operation& operation, int rank, std::vector<int> ranks, std::string cause) {
  const std::int64_t step = activity_record()->look(std::chrono::steady_clock::now()).step;
  const std::string when = step < 0 ? "" : fmt::format(", step {}", step);
  std::string message = fmt::format("{} on rank {} ({}{}): {}", describe(operation), rank, host_name(), when, cause);
  return CommError(message, {std::string(name_of(operation.kind)), operation.sequence,
                             std::string(operation.name.view()), std::move(ranks), std::move(cause)});
}

}  // namespace trireme::comm
