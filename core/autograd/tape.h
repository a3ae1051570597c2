// The walk of the tape: what Tensor::backward() does. Not for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trireme/core/autograd/node.h"

namespace trireme {

// A backward pass counts how many gradients each node will get, then runs nodes that have got all of theirs, latest
// made first. That order is the same in every run, keeps memory low and makes gradients of late layers ready early.
//
// Passes may nest (a node's backward may recompute a part of the forward pass and walk that): a leaf that both passes
// reach becomes ready after the last contribution of the outermost one; a leaf that only an inner pass reaches, at its
// end.
class Tape {
 public:
  // Its vectors keep their capacity: no allocation in the steady state.
  static Tape& of_this_thread();

  // Walks from `root`, whose result has the given gradient, and frees what backward saved. If a node throws, the pass
  // ends there and the error leaves; gradients that arrived in leaves so far stay.
  void run(Node& root, Array gradient);

 private:
  void count(Node& root);
  void step(Node& node);
  void push(Node* node);
  Node* pop();

  std::vector<Node*> ready_;  // a heap from first_ on; below it wait the nodes of the outer passes
  std::vector<Node*> stack_;
  std::size_t first_ = 0;
  std::uint64_t outermost_ = 0;  // the visit number of the outermost pass; 0 while there is none
};

}  // namespace trireme
