// What only moves elements: all_gather, broadcast, barrier and all_to_all.
#include <algorithm>

#include "trireme/comm/hierarchical/stages.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::hierarchical {
namespace {

Array narrowed(const Array& flat, Range range) { return flat.narrow(0, range.begin, range.count()); }
Array nothing(DType dtype) { return Array::empty({0}, dtype); }

// Where in the output are the elements of some neighbouring ranks.
Range range_of(const Operation& operation, int first_rank, int length) {
  if (operation.offsets.empty()) {
    const std::int64_t count = operation.input.count();
    return {first_rank * count, (first_rank + length) * count};
  }
  return {operation.offsets[static_cast<std::size_t>(first_rank)],
          operation.offsets[static_cast<std::size_t>(first_rank + length)]};
}
Range range_of(const Operation& operation, const Run& run) { return range_of(operation, run.first_rank, run.length); }

// Inside: this host's own pieces, which all of its ranks need, and of which they then carry any slice across.
void gather_own(const Levels& levels, Piece& piece, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  for (const Run& run : levels.hosts.runs[static_cast<std::size_t>(levels.host())]) {
    Offsets offsets{0};
    for (int local = 0; local < levels.local_size(); ++local) {
      const int rank = run.first_rank + local - run.first_local;
      const bool is_in_run = local >= run.first_local && local < run.first_local + run.length;
      offsets.push_back(offsets.back() + (is_in_run ? range_of(chain.operation, rank, 1).count() : 0));
    }
    const bool brings = levels.local() >= run.first_local && levels.local() < run.first_local + run.length;
    piece.works[kFirst].push_back(
        levels.first->all_gather_v(brings ? chain.operation.input.flatten() : nothing(chain.output.dtype()),
                                   narrowed(chain.output, range_of(chain.operation, run)), offsets, options));
  }
}

std::size_t most_runs(const Levels& levels) {
  std::size_t most = 0;
  for (const std::vector<Run>& runs : levels.hosts.runs) {
    most = std::max(most, runs.size());
  }
  return most;
}

// By host: where this carrier's slice of the host's `turn`-th run begins in what it gathers.
Offsets slices_by_host(const Levels& levels, const Operation& operation, std::size_t turn) {
  Offsets offsets{0};
  for (const std::vector<Run>& runs : levels.hosts.runs) {
    const bool has_run = turn < runs.size();
    offsets.push_back(offsets.back() + (has_run ? levels.own_slice(range_of(operation, runs[turn])).count() : 0));
  }
  return offsets;
}

// Across: turn by turn one run of each host.
void gather_across(const Levels& levels, Piece& piece, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const std::vector<Run>& own = levels.hosts.runs[static_cast<std::size_t>(levels.host())];
  for (std::size_t turn = 0; turn < most_runs(levels); ++turn) {
    const Offsets offsets = slices_by_host(levels, chain.operation, turn);
    piece.partials.push_back(Array::empty({offsets.back()}, chain.output.dtype()));
    piece.works[kAcross].push_back(levels.across->all_gather_v(
        turn < own.size() ? narrowed(chain.output, levels.own_slice(range_of(chain.operation, own[turn])))
                          : nothing(chain.output.dtype()),
        piece.partials.back(), offsets, options));
  }
}

// Inside: the other hosts' runs, from the carriers that gathered their slices.
void gather_others(const Levels& levels, Piece& piece, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  for (std::size_t turn = 0; turn < most_runs(levels); ++turn) {
    const Offsets slices = slices_by_host(levels, chain.operation, turn);
    for (int host = 0; host < levels.hosts.count(); ++host) {
      const auto h = static_cast<std::size_t>(host);
      if (host == levels.host() || turn >= levels.hosts.runs[h].size()) {
        continue;
      }
      const Range range = range_of(chain.operation, levels.hosts.runs[h][turn]);
      piece.works[kLast].push_back(
          levels.last->all_gather_v(levels.is_carrier() ? narrowed(piece.partials[turn], {slices[h], slices[h + 1]})
                                                        : nothing(chain.output.dtype()),
                                    narrowed(chain.output, range), levels.slices_of(range), options));
    }
  }
}

}  // namespace

void start_all_gather(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  if (stage == kFirst) {
    gather_own(levels, piece, options);
  } else if (stage == kAcross && levels.is_carrier()) {
    gather_across(levels, piece, options);
  } else if (stage == kLast) {
    gather_others(levels, piece, options);
  }
}

void start_broadcast(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const auto root = static_cast<std::size_t>(chain.operation.peer);
  const int root_host = levels.hosts.host_of[root];
  const bool has_root = levels.host() == root_host;
  const Range range{0, chain.output.count()};
  const Array slice = narrowed(chain.output, levels.own_slice(range));
  if (stage == kFirst) {
    piece.works[kFirst].push_back(has_root ? levels.first->broadcast(chain.output, levels.hosts.local_of[root], options)
                                           : levels.first->barrier(options));
  } else if (stage == kAcross && levels.is_carrier()) {
    piece.works[kAcross].push_back(levels.across->broadcast(slice, root_host, options));
  } else if (stage == kLast) {  // who has the values already learns that the other hosts agreed
    piece.works[kLast].push_back(
        has_root ? levels.last->barrier(options)
                 : levels.last->all_gather_v(slice, chain.output, levels.slices_of(range), options));
  }
}

void start_barrier(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  if (stage == kFirst) {
    piece.works[kFirst].push_back(levels.first->barrier(options));
  } else if (stage == kAcross && levels.is_carrier()) {
    piece.works[kAcross].push_back(levels.across->barrier(options));
  } else if (stage == kLast) {
    piece.works[kLast].push_back(levels.last->barrier(options));
  }
}

void start_all_to_all(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  if (stage == kFirst) {
    piece.works[kFirst].push_back(levels.first->barrier(options));
  } else if (stage == kAcross) {
    piece.works[kAcross].push_back(start_same(*levels.whole, piece.chain->operation, options));
  }
}

Work start_same(Communicator& communicator, const Operation& op, const OpOptions& options) {
  switch (op.kind) {
    case OpKind::all_reduce:
      return communicator.all_reduce(op.input, op.op, options);
    case OpKind::all_reduce_parts:
      return communicator.all_reduce_parts(op.parts, op.layout, op.output, options, op.op);
    case OpKind::reduce_scatter:
      return communicator.reduce_scatter(op.input, op.output, op.op, options);
    case OpKind::reduce_scatter_parts:
      return communicator.reduce_scatter_parts(op.parts, op.layout, op.offsets, op.output, options, op.op);
    case OpKind::all_gather:
      return op.offsets.empty() ? communicator.all_gather(op.input, op.output, options)
                                : communicator.all_gather_v(op.input, op.output, op.offsets, options);
    case OpKind::all_to_all:
      return communicator.all_to_all(op.input, op.output, options);
    case OpKind::broadcast:
      return communicator.broadcast(op.input, op.peer, options);
    case OpKind::send:
      return communicator.send(op.input, op.peer, op.tag, options);
    case OpKind::recv:
      return communicator.recv(op.output, op.peer, op.tag, options);
    case OpKind::barrier:
      return communicator.barrier(options);
  }
  fail("{}: not an operation of a communicator", name_of(op.kind));
}

}  // namespace trireme::comm::hierarchical
