// What each stage of each operation starts on the part communicators; see hierarchical.h. Nothing here waits.
#pragma once

#include "trireme/comm/hierarchical/chain.h"

namespace trireme::comm::hierarchical {

// Sets up what all pieces of a reduction share, `pieces` included.
void prepare_reduction(const Levels& levels, HostLayouts& layouts, Chain& chain);

// Each starts stage `stage` of the piece and appends to piece.works[stage]. The stages before it are complete.
// In its first stage every collective starts something on levels.first, and in its second on levels.across: so the
// first operation in which ranks differ meets its counterpart, whatever the two are, and both find out.
void start_all_reduce(const Levels& levels, Piece& piece, int stage, const OpOptions& options);
void start_reduce_scatter(const Levels& levels, Piece& piece, int stage, const OpOptions& options);
void start_all_gather(const Levels& levels, Piece& piece, int stage, const OpOptions& options);
void start_broadcast(const Levels& levels, Piece& piece, int stage, const OpOptions& options);
void start_barrier(const Levels& levels, Piece& piece, int stage, const OpOptions& options);
void start_all_to_all(const Levels& levels, Piece& piece, int stage, const OpOptions& options);

// The operation itself on a communicator of the same ranks.
Work start_same(Communicator& communicator, const Operation& operation, const OpOptions& options);

}  // namespace trireme::comm::hierarchical
