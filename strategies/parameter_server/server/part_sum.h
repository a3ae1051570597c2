// PartSum: one step's gradient of one piece, growing from the parts of the workers into the sum over all lanes, with
// the bits of the canonical tree in whatever order they come.
#pragma once

#include <utility>
#include <vector>

#include "trireme/core/optim/optimizer.h"
#include "trireme/strategies/parameter_server/clocks/lane_parts.h"

namespace trireme::strategies::parameter_server {

class PartSum {
 public:
  void clear() { held_.clear(); }
  // Takes a copy of what it must keep: the arrays may change as soon as this returns. A part that is here already, as
  // it is or inside a larger one, changes nothing. REQUIRES: always the same tree; all dense and of one shape, or all
  // rows of one length.
  void add(const LaneParts& tree, Subtree part, const optim::Gradient& gradient);
  bool complete(const LaneParts& tree) const { return held_.size() == 1 && held_[0].first == tree.whole(); }
  // The sum over all lanes. REQUIRES: complete().
  optim::Gradient& sum() { return held_[0].second; }

 private:
  using Held = std::pair<Subtree, optim::Gradient>;

  bool covers(Subtree node) const;
  std::vector<Held>::iterator sibling_of(const LaneParts& tree, Subtree node);
  void join(const LaneParts& tree, Subtree node, optim::Gradient sum);

  std::vector<Held> held_;  // disjoint canonical nodes
};

}  // namespace trireme::strategies::parameter_server
