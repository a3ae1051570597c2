// all_reduce and reduce_scatter, of arrays and of parts.
#include <algorithm>

#include "trireme/comm/hierarchical/stages.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::hierarchical {
namespace {

// A piece should keep the network busy for much longer than it takes to start one.
constexpr std::int64_t kPieceBytes = 4 << 20;

bool is_half(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }
DType wide(DType dtype) { return is_half(dtype) ? DType::f32 : dtype; }

bool reduces_to_all(const Operation& operation) {
  return operation.kind == OpKind::all_reduce || operation.kind == OpKind::all_reduce_parts;
}

bool is_fast(const Operation& operation) {
  return operation.kind == OpKind::all_reduce && operation.order == ReduceOrder::fast;
}

// Halves are combined in f32 and rounded once, and partial results leave this host: all of them are widened first.
Array flat_and_wide(const Array& array) {
  if (!is_half(array.dtype())) {
    return array.flatten();
  }
  const Array out = Array::empty({array.count()}, DType::f32);
  if (array.count() > 0) {
    out.copy_from(array.flatten());
  }
  return out;
}

Array narrowed(const Array& flat, Range range) { return flat.narrow(0, range.begin, range.count()); }

Range range_of(const Chain& chain, std::int64_t index) {
  const std::int64_t count = chain.output.count();
  return {count * index / chain.pieces, count * (index + 1) / chain.pieces};
}

// This rank's parts below a node, of some elements.
PoolVector<Part> parts_of(const Chain& chain, const HostLayout::Node& node, Range range) {
  PoolVector<Part> parts;
  for (std::size_t i = node.first_part; i < node.end_part; ++i) {
    parts.push_back({chain.parts[i].subtree, narrowed(chain.parts[i].array, range)});
  }
  return parts;
}

// The values of this host's nodes, as a carrier brings them across.
PoolVector<Part> nodes_of(const Chain& chain, const Piece& piece) {
  PoolVector<Part> parts;
  for (std::size_t k = 0; k < chain.layout->nodes.size(); ++k) {
    parts.push_back({chain.layout->nodes[k].subtree, piece.partials[k]});
  }
  return parts;
}

// Elements of each rank's piece; the same for all where no offsets were given.
Range piece_of(const Operation& operation, int rank) {
  if (operation.offsets.empty()) {
    const std::int64_t count = operation.output.count();
    return {rank * count, (rank + 1) * count};
  }
  const auto r = static_cast<std::size_t>(rank);
  return {operation.offsets[r], operation.offsets[r + 1]};
}

// What carrier `carrier` of this host handles of a run of ranks on any host.
std::int64_t carried(const Levels& levels, const Operation& operation, const Run& run, int carrier) {
  std::int64_t count = 0;
  for (int rank = run.first_rank; rank < run.first_rank + run.length; ++rank) {
    count += levels.hosts.carrier_of(rank) == carrier ? piece_of(operation, rank).count() : 0;
  }
  return count;
}

// By host: where begins what this carrier brings for it.
Offsets carried_offsets(const Levels& levels, const Operation& operation) {
  Offsets offsets{0};
  for (const std::vector<Run>& runs : levels.hosts.runs) {
    std::int64_t count = 0;
    for (const Run& run : runs) {
      count += carried(levels, operation, run, levels.local());
    }
    offsets.push_back(offsets.back() + count);
  }
  return offsets;
}

// Inside: the pieces of the ranks of one run, reduced over this host; each carrier gets what it handles of them.
void start_run(const Levels& levels, Piece& piece, const Run& run, std::int64_t position, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const Range range{piece_of(chain.operation, run.first_rank).begin,
                    piece_of(chain.operation, run.first_rank + run.length - 1).end};
  Offsets offsets{0};
  for (int carrier = 0; carrier < levels.local_size(); ++carrier) {
    offsets.push_back(offsets.back() + carried(levels, chain.operation, run, carrier));
  }
  const auto own = static_cast<std::size_t>(levels.local());
  for (std::size_t k = 0; k < chain.layout->nodes.size(); ++k) {
    const HostLayout::Node& node = chain.layout->nodes[k];
    piece.works[kFirst].push_back(levels.first->reduce_scatter_parts(
        parts_of(chain, node, range), node.inside, offsets,
        piece.partials[k].narrow(0, position, offsets[own + 1] - offsets[own]), options, chain.operation.op));
  }
}

void start_scatter_inside(const Levels& levels, Piece& piece, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  std::int64_t total = 0;
  for (const std::vector<Run>& runs : levels.hosts.runs) {
    for (const Run& run : runs) {
      total += carried(levels, chain.operation, run, levels.local());
    }
  }
  for (std::size_t k = 0; k < chain.layout->nodes.size(); ++k) {
    piece.partials.push_back(Array::empty({total}, wide(chain.output.dtype())));
  }
  std::int64_t position = 0;
  for (const std::vector<Run>& runs : levels.hosts.runs) {
    for (const Run& run : runs) {
      start_run(levels, piece, run, position, options);
      position += carried(levels, chain.operation, run, levels.local());
    }
  }
  if (chain.layout->nodes.empty()) {
    piece.works[kFirst].push_back(levels.first->barrier(options));
  }
}

// A carrier that speaks for several ranks hands on what is theirs; each brings a part that nobody adds to.
void start_hand_on(const Levels& levels, Piece& piece, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const std::vector<int>& mates = levels.hosts.ranks_of(levels.host());
  for (int carrier = 0; carrier < levels.hosts.slices; ++carrier) {
    Offsets offsets{0};
    for (const int mate : mates) {
      const bool is_theirs = levels.hosts.carrier_of(mate) == carrier;
      offsets.push_back(offsets.back() + (is_theirs ? piece_of(chain.operation, mate).count() : 0));
    }
    PoolVector<Part> parts;
    if (levels.local() == carrier) {
      parts.push_back({{0, 1}, piece.result});
    }
    const bool is_mine = levels.hosts.carrier_of(levels.rank) == carrier;
    piece.works[kLast].push_back(
        levels.last->reduce_scatter_parts(parts, levels.from_carrier[static_cast<std::size_t>(carrier)], offsets,
                                          is_mine ? chain.output : Array::empty({0}, chain.output.dtype()), options));
  }
}

}  // namespace

void prepare_reduction(const Levels& levels, HostLayouts& layouts, Chain& chain) {
  Operation& operation = chain.operation;
  chain.layout = is_fast(operation) ? levels.block_layout : layouts.find(operation.layout, levels.hosts, levels.rank);
  if (operation.kind == OpKind::all_reduce || operation.kind == OpKind::reduce_scatter) {
    const int leaf = is_fast(operation) ? levels.local() : levels.rank;
    chain.parts.push_back({{leaf, leaf + 1}, flat_and_wide(operation.input)});
  }
  for (const Part& part : operation.parts) {
    chain.parts.push_back({part.subtree, flat_and_wide(part.array)});
  }
  if (reduces_to_all(operation)) {
    const auto bytes = static_cast<std::int64_t>(operation.output.bytes());
    chain.pieces = std::max<std::int64_t>(1, (bytes + kPieceBytes - 1) / kPieceBytes);
  }
}

void start_all_reduce(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const HostLayout& layout = *chain.layout;
  const Range range = range_of(chain, piece.index);
  const Range slice = levels.own_slice(range);
  const Array own = narrowed(chain.output, slice);
  if (stage == kFirst) {
    const bool halves = is_half(own.dtype());
    piece.result = halves ? Array::empty({slice.count()}, DType::f32) : own;
    for (const HostLayout::Node& node : layout.nodes) {
      // The output may be a part of another node, still to be read.
      const Array& partial =
          layout.nodes.size() == 1 ? piece.result : Array::empty({slice.count()}, piece.result.dtype());
      piece.partials.push_back(partial);
      piece.works[kFirst].push_back(levels.first->reduce_scatter_parts(
          parts_of(chain, node, range), node.inside, levels.slices_of(range), partial, options, chain.operation.op));
    }
    if (layout.nodes.empty()) {
      piece.works[kFirst].push_back(levels.first->barrier(options));
    }
  } else if (stage == kAcross && levels.is_carrier()) {
    piece.works[kAcross].push_back(is_fast(chain.operation)
                                       ? levels.across->all_reduce(piece.result, chain.operation.op, options)
                                       : levels.across->all_reduce_parts(nodes_of(chain, piece), layout.across,
                                                                         piece.result, options, chain.operation.op));
  } else if (stage == kLast) {
    if (is_half(own.dtype()) && own.count() > 0) {
      own.copy_from(piece.result);
    }
    piece.works[kLast].push_back(
        levels.last->all_gather_v(own, narrowed(chain.output, range), levels.slices_of(range), options));
  }
}

void start_reduce_scatter(const Levels& levels, Piece& piece, int stage, const OpOptions& options) {
  const Chain& chain = *piece.chain;
  const bool hands_on = levels.local_size() > levels.hosts.slices;
  const DType dtype = chain.output.dtype();
  if (stage == kFirst) {
    start_scatter_inside(levels, piece, options);
  } else if (stage == kAcross && levels.is_carrier()) {
    const Offsets offsets = carried_offsets(levels, chain.operation);
    const auto host = static_cast<std::size_t>(levels.host());
    piece.result =
        hands_on || is_half(dtype) ? Array::empty({offsets[host + 1] - offsets[host]}, wide(dtype)) : chain.output;
    piece.works[kAcross].push_back(levels.across->reduce_scatter_parts(
        nodes_of(chain, piece), chain.layout->across, offsets, piece.result, options, chain.operation.op));
  } else if (stage == kLast) {
    if (is_half(dtype) && levels.is_carrier()) {
      const Array rounded = hands_on ? Array::empty({piece.result.count()}, dtype) : chain.output;
      if (rounded.count() > 0) {
        rounded.copy_from(piece.result);
      }
      piece.result = rounded;
    }
    if (hands_on) {
      start_hand_on(levels, piece, options);
    }
  }
}

}  // namespace trireme::comm::hierarchical
