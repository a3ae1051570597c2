#include "trireme/comm/signature.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "trireme/comm/operation_text.h"

namespace trireme::comm {

Signature signature_of(const Operation& operation) {
  Signature out;
  out.kind = operation.kind;
  out.dtype = dtype_of_operation(operation);
  out.op = operation.op;
  out.order = operation.order;
  out.peer = operation.peer;
  out.count = count_of(operation);
  out.layout = operation.layout == nullptr ? 0 : operation.layout->fingerprint;
  if (!operation.offsets.empty()) {
    out.layout ^= XXH3_64bits(operation.offsets.data(), operation.offsets.size() * sizeof(std::int64_t));
  }
  const std::string_view name = operation.name.view();
  out.name_hash = name.empty() ? 0 : XXH3_64bits(name.data(), name.size());
  return out;
}

namespace {

std::string_view name_of_reduction(ReduceOp op) {
  constexpr std::string_view kNames[] = {"sum", "product", "min", "max"};
  return kNames[static_cast<std::size_t>(op) & 3];
}

// name_of(DType) raises on what is none; a peer's memory may hold anything.
std::string_view checked_name(DType dtype) { return dtype <= DType::boolean ? name_of(dtype) : "unknown dtype"; }

}  // namespace

void append_description(fmt::memory_buffer& text, const Signature& signature, std::uint64_t sequence,
                        std::string_view name) {
  const auto add = [&]<class... Args>(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
  };
  add("{} #{}", name_of(signature.kind), sequence);
  if (!name.empty()) {
    add(" \"{}\"", name);
  }
  if (signature.kind == OpKind::barrier) {
    return;
  }
  add(" {} x {}", checked_name(signature.dtype), signature.count);
  if (signature.kind == OpKind::broadcast) {
    add(" (root {})", signature.peer);
  } else if (signature.kind == OpKind::all_reduce || signature.kind == OpKind::reduce_scatter) {
    const bool fast = signature.order == ReduceOrder::fast;
    add(" ({}{})", name_of_reduction(signature.op), fast ? ", fast order" : "");
  } else if (signature.layout != 0) {
    const std::string_view op = signature.op == ReduceOp::sum ? "" : name_of_reduction(signature.op);
    add(" ({}{}layout {:016x})", op, op.empty() ? "" : ", ", signature.layout);
  }
}

std::string describe(const Signature& signature, std::uint64_t sequence, std::string_view name) {
  fmt::memory_buffer text;
  append_description(text, signature, sequence, name);
  return fmt::to_string(text);
}

std::string disagreement(int rank_a, const std::string& a, int rank_b, const std::string& b) {
  return fmt::format(
      "the ranks disagree: rank {} is in {}, rank {} in {}; every rank must start the same operations in the same "
      "order",
      rank_a, a, rank_b, b);
}

}  // namespace trireme::comm
