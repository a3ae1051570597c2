// Collectives whose data travels in the openings: every rank gets all contributions and does all the work itself. The
// same bits as those of the large ones, for one latency instead of two.
#pragma once

#include <span>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm::message {

// Whether the contribution of every rank fits in the payload of an opening. The same on all ranks that agree about the
// operation. `size` ranks.
bool is_small(const Operation& operation, int size);

// Puts this rank's contribution into `payload`; returns its bytes.
std::size_t fill_payload(const Operation& operation, int rank, std::span<std::byte> payload);

// Computes the output. payloads[rank]: what each contributed; this rank's own is not looked at. `sources` is scratch.
void finish_small(const Operation& operation, int rank, std::span<const std::byte* const> payloads,
                  std::vector<const std::byte*>& sources);

}  // namespace trireme::comm::message
