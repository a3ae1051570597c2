#include "trireme/comm/local/execute.h"

#include <cstring>

#include "trireme/comm/operation_text.h"
#include "trireme/comm/signature.h"

namespace trireme::comm {
namespace {

template <class T>
T combine(ReduceOp op, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return op == ReduceOp::sum || op == ReduceOp::max ? a || b : a && b;
  } else {
    switch (op) {
      case ReduceOp::sum:
        return static_cast<T>(a + b);
      case ReduceOp::product:
        return static_cast<T>(a * b);
      case ReduceOp::min:
        return b < a ? b : a;
      case ReduceOp::max:
        return a < b ? b : a;
    }
    return a;
  }
}

// The type in which values of T are combined: halves in f32, integers unsigned where they may wrap.
template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<BFloat16> {
  using type = float;
};
template <>
struct Wide<Float16> {
  using type = float;
};

template <class T>
T combine_wrapping(ReduceOp op, T a, T b) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    using Unsigned = std::uint64_t;
    if (op == ReduceOp::sum) {
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    }
    if (op == ReduceOp::product) {
      return static_cast<T>(static_cast<Unsigned>(a) * static_cast<Unsigned>(b));
    }
  }
  return combine(op, a, b);
}

// The arrays to combine, in slot order of the layout.
std::vector<const Array*> sources_of(const std::vector<const Operation*>& by_rank) {
  std::vector<const Array*> sources;
  for (const Operation* operation : by_rank) {
    if (operation->kind == OpKind::all_reduce || operation->kind == OpKind::reduce_scatter) {
      sources.push_back(&operation->input);
    }
    for (const Part& part : operation->parts) {
      sources.push_back(&part.array);
    }
  }
  return sources;
}

template <class T>
Array reduce_as(const std::vector<const Operation*>& by_rank) {
  using W = typename Wide<T>::type;
  const Operation& first = *by_rank[0];
  const std::vector<const Array*> sources = sources_of(by_rank);
  const std::int64_t count = count_of(first);
  Array result = Array::zeros({count}, dtype_of<T>);
  std::vector<W> slots(sources.size());
  for (std::int64_t i = 0; i < count && !sources.empty(); ++i) {
    for (std::size_t s = 0; s < sources.size(); ++s) {
      slots[s] = static_cast<W>(sources[s]->data<T>()[i]);
    }
    for (const Addition add : first.layout->plan) {
      const auto target = static_cast<std::size_t>(add.target);
      slots[target] = combine_wrapping<W>(first.op, slots[target], slots[static_cast<std::size_t>(add.source)]);
    }
    result.data<T>()[i] = static_cast<T>(slots[static_cast<std::size_t>(first.layout->result_slot())]);
  }
  return result;
}

Array reduce(const std::vector<const Operation*>& by_rank) {
  return dispatch_all(dtype_of_operation(*by_rank[0]), [&](auto tag) { return reduce_as<decltype(tag)>(by_rank); });
}

// Elements [begin, begin + to.count()) of `from`.
void copy_out(const Array& to, const Array& from, std::int64_t begin) {
  if (to.count() > 0) {
    std::memcpy(to.bytes_data(), from.bytes_data() + static_cast<std::size_t>(begin) * size_of(from.dtype()),
                to.bytes());
  }
}

// The inputs of all ranks, one after the other.
Array joined_inputs(const std::vector<const Operation*>& by_rank) {
  std::int64_t count = 0;
  for (const Operation* operation : by_rank) {
    count += operation->input.count();
  }
  Array joined = Array::empty({count}, by_rank[0]->input.dtype());
  std::byte* to = joined.bytes_data();
  for (const Operation* operation : by_rank) {
    if (operation->input.count() > 0) {
      std::memcpy(to, operation->input.bytes_data(), operation->input.bytes());
      to += operation->input.bytes();
    }
  }
  return joined;
}

// All of `from` but [begin, begin + own.count()), which are the rank's own; these only if they are not there already.
void copy_around(const Array& to, const Array& from, std::int64_t begin, const Array& own) {
  const std::int64_t end = begin + own.count();
  copy_out(to.narrow(0, 0, begin), from, 0);
  if (own.count() > 0 && to.narrow(0, begin, own.count()).bytes_data() != own.bytes_data()) {
    copy_out(to.narrow(0, begin, own.count()), from, begin);
  }
  copy_out(to.narrow(0, end, to.count() - end), from, end);
}

void exchange_pieces(const std::vector<const Operation*>& by_rank) {
  const Array joined = joined_inputs(by_rank);
  const auto size = static_cast<std::int64_t>(by_rank.size());
  const std::int64_t piece = by_rank[0]->input.count() / size;
  for (std::int64_t to = 0; to < size; ++to) {
    const Array output = by_rank[static_cast<std::size_t>(to)]->output.flatten();
    for (std::int64_t from = 0; from < size; ++from) {
      copy_out(output.narrow(0, from * piece, piece), joined, (from * size + to) * piece);
    }
  }
}

}  // namespace

std::optional<Mismatch> mismatch_of(const std::vector<const Operation*>& by_rank) {
  const Signature expected = signature_of(*by_rank[0]);
  for (std::size_t rank = 1; rank < by_rank.size(); ++rank) {
    const Operation& other = *by_rank[rank];
    const Signature signature = signature_of(other);
    if (!(signature == expected)) {
      const auto r = static_cast<int>(rank);
      return Mismatch{disagreement(0, describe(expected, by_rank[0]->sequence, by_rank[0]->name.view()), r,
                                   describe(signature, other.sequence, other.name.view())),
                      {0, r}};
    }
  }
  return std::nullopt;
}

void execute(const std::vector<const Operation*>& by_rank) {
  const Operation& first = *by_rank[0];
  switch (first.kind) {
    case OpKind::all_reduce:
    case OpKind::all_reduce_parts:
    case OpKind::reduce_scatter:
    case OpKind::reduce_scatter_parts: {
      const Array result = reduce(by_rank);
      const bool scattered = first.kind == OpKind::reduce_scatter || first.kind == OpKind::reduce_scatter_parts;
      std::int64_t begin = 0;
      for (const Operation* operation : by_rank) {
        copy_out(operation->output, result, begin);
        begin += scattered ? operation->output.count() : 0;
      }
      return;
    }
    case OpKind::all_gather: {
      const Array joined = joined_inputs(by_rank);
      std::int64_t begin = 0;
      for (const Operation* operation : by_rank) {
        copy_around(operation->output.flatten(), joined, begin, operation->input);
        begin += operation->input.count();
      }
      return;
    }
    case OpKind::all_to_all:
      exchange_pieces(by_rank);
      return;
    case OpKind::broadcast: {
      const Array value = by_rank[static_cast<std::size_t>(first.peer)]->input.clone();
      for (const Operation* operation : by_rank) {
        copy_out(operation->output, value, 0);
      }
      return;
    }
    default:  // a barrier has no data; sends and receives are not collective
      return;
  }
}

}  // namespace trireme::comm
