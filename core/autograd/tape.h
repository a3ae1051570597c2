// The walk of the tape: what Tensor::backward() does. Not for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trireme/core/autograd/node.h"

namespace trireme {

// A backward pass counts how many gradients each node will get, then runs nodes that have got all of theirs, latest
// made first. That order is the same in every run and keeps memory low. A leaf becomes ready as soon as its last
// contribution has been made, so gradients of late layers can be sent while the walk goes on.
//
// Passes may nest: a node recorded with `walks` may recompute a part of the forward pass and walk that. Where the inner
// pass meets nodes of an outer one (leaves, or the op that made the part's input) it adds to their gradients and goes
// no further; they have their turn in the outer pass, after the node whose backward runs, since they are among its
// inputs.
class Tape {
 public:
  // Its vectors keep their capacity: no allocation in the steady state.
  static Tape& of_this_thread();

  // Walks from `root`, whose result has the given gradient, and frees what backward saved. If a node throws, the pass
  // ends there and the error leaves; gradients that arrived in leaves so far stay.
  void run(Node& root, Array gradient);

 private:
  static void require_alive(const Node& node);
  void count(Node& root);
  void step(Node& node);
  void ready(Node* node);
  void push(Node* node);
  Node* pop();

  std::vector<Node*> ready_;  // a heap from first_ on; below it wait the nodes of the outer passes
  std::vector<Node*> stack_;
  std::size_t first_ = 0;
  std::uint64_t outermost_ = 0;  // the visit number of the outermost pass; 0 while there is none
  Node* running_ = nullptr;      // the node of this pass whose backward runs
};

}  // namespace trireme
