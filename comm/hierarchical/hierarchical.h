// Several hosts as one communicator: shared memory inside each host, a network between them, and the bits of every
// other backend.
//
// S = the ranks of the smallest host. Local rank s < S of every host is the carrier of slice s: only carriers talk
// across hosts, each for its slice of the elements, so a host sends and receives every byte once. A stage is one or
// more operations of a part communicator; each operation goes through three, "inside", "across" and "inside":
//
//   all_reduce(_parts)      inside: reduce_scatter of each node of the lane tree whose parts are all on this host, so a
//                           partial result is exactly that node's value; carrier s gets slice s of it
//                           across: all_reduce of those values, carriers of one slice; inside: all_gather of slices
//   reduce_scatter(_parts)  inside: as above, but slice s is what the ranks of carrier s get, on every host
//                           across: reduce_scatter; inside: a carrier of several ranks hands on what is theirs
//   all_gather(_v)          inside: all_gather of this host's pieces; across: carrier s gathers slice s of the other
//                           hosts' pieces; inside: all_gather of those slices
//   broadcast               inside the root's host: broadcast; across: of slice s by carrier s; inside the other hosts:
//                           all_gather of slices, in the root's a barrier
//   barrier                 inside, across (carriers), inside
//   all_to_all              over the network communicator of all ranks: every pair has bytes of its own
//   send, recv              inside between ranks of one host, else over the network communicator of all ranks
//
// Halves are widened to f32 before the first stage and rounded after the second, so once. ReduceOrder::fast reduces
// each host as one block, and across with the network's own all_reduce. Ranks of a host need not be neighbours in rank
// order (srun -m cyclic): a node of the lane tree is then seldom on one host, and the network carries more. One host,
// and hosts of one rank each, skip the composition.
//
// Stage k of all operations uses a communicator of its own, in the order of the operations, so ranks agree on the order
// without talking. There is no helper thread: the calling rank moves stages on whenever it starts, polls or waits for
// an operation. Large reductions go in pieces, so that one piece is across while the next is inside.
//
// A CommError names ranks of this communicator and its own operation, on whichever level it happened; the failure
// spreads to both. The deadline of an operation is that of its first stage; each further stage has half a second more,
// so that who waits for a host hears from it who is missing there.
#pragma once

#include <memory>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

// ranks_of_host: the ranks of each host, ascending; together 0 to whole->size() - 1. `whole` connects all ranks over
// the network; `inside` those of this rank's host, in the order of ranks_of_host. Both belong to the result from here
// on. Collective: blocks until all ranks are here, at most the default timeout of `whole`, which the result inherits.
// backend() is "INSIDE+WHOLE", as in "shm+gloo".
std::shared_ptr<Communicator> connect_hierarchical(std::vector<std::vector<int>> ranks_of_host,
                                                   std::shared_ptr<Communicator> inside,
                                                   std::shared_ptr<Communicator> whole);

}  // namespace trireme::comm
