// One collective on its way through the stages, and the pieces in which it goes.
#pragma once

#include <array>
#include <memory>

#include "trireme/comm/communicator.h"
#include "trireme/comm/hierarchical/host_layout.h"
#include "trireme/comm/hierarchical/levels.h"

namespace trireme::comm::hierarchical {

class HierarchicalCommunicator;

inline constexpr int kStages = 3;  // inside, across, inside
inline constexpr int kFirst = 0;
inline constexpr int kAcross = 1;
inline constexpr int kLast = 2;

class Chain final : public WorkState {
 public:
  // `tag` names the part operations; see error_text.h.
  Chain(HierarchicalCommunicator* owner, Operation&& operation);

  bool poll() override;
  void wait() override;

  std::chrono::steady_clock::time_point deadline() const { return operation.start + operation.timeout; }

  HierarchicalCommunicator* owner;
  Operation operation;
  OpName tag;
  std::int64_t pieces = 1;
  bool done = false;

  Array output;  // flat
  // Of reductions: what to combine, flat, in the dtype in which it is combined.
  std::shared_ptr<const HostLayout> layout;
  PoolVector<Part> parts;
};

// A send or a receive: on the communicator inside this host, or on that of all ranks.
class Message final : public WorkState {
 public:
  Message(HierarchicalCommunicator* owner, Operation&& operation) : owner(owner), operation(std::move(operation)) {}

  bool poll() override;
  void wait() override;

  HierarchicalCommunicator* owner;
  Operation operation;
  Work work;
  bool done = false;
};

struct Piece {
  std::shared_ptr<Chain> chain;
  std::int64_t index = 0;
  std::array<PoolVector<Work>, kStages> works;
  PoolVector<Array> partials;  // values of this host's nodes, or pieces of other hosts
  Array result;                // of the stage across
};

}  // namespace trireme::comm::hierarchical
