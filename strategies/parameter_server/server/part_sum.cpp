#include "trireme/strategies/parameter_server/server/part_sum.h"

#include <algorithm>

#include "trireme/core/array/accumulate.h"

namespace trireme::strategies::parameter_server {
namespace {

optim::Gradient copy_of(const optim::Gradient& gradient) {
  if (gradient.rows.defined()) {
    return SparseRows{gradient.rows.rows.clone(), gradient.rows.values.clone()};
  }
  return gradient.dense.clone();
}

// left + right and right + left are the same bits.
void add_to(optim::Gradient& sum, const optim::Gradient& part) {
  if (sum.rows.defined()) {
    sum.rows = add_rows(sum.rows, part.rows);
  } else {
    accumulate(sum.dense, part.dense);
  }
}

bool contains(Subtree outer, Subtree inner) { return outer.begin <= inner.begin && inner.end <= outer.end; }

}  // namespace

bool PartSum::covers(Subtree node) const {
  return std::ranges::any_of(held_, [&](const Held& held) { return contains(held.first, node); });
}

std::vector<PartSum::Held>::iterator PartSum::sibling_of(const LaneParts& tree, Subtree node) {
  const std::optional<Subtree> sibling = tree.sibling(node);
  return std::ranges::find_if(held_, [&](const Held& held) { return sibling && held.first == *sibling; });
}

void PartSum::add(const LaneParts& tree, Subtree part, const optim::Gradient& gradient) {
  const Subtree node = tree.canonical(part);
  if (covers(node)) {
    return;
  }
  // Smaller parts of the same lanes, cut otherwise by another worker: they are in this one.
  std::erase_if(held_, [&](const Held& held) { return contains(node, held.first); });
  const auto other = sibling_of(tree, node);
  if (other == held_.end()) {
    held_.emplace_back(node, copy_of(gradient));
    return;
  }
  optim::Gradient sum = std::move(other->second);
  held_.erase(other);
  add_to(sum, gradient);
  join(tree, tree.joined(node), std::move(sum));
}

// Goes up as far as siblings are here.
void PartSum::join(const LaneParts& tree, Subtree node, optim::Gradient sum) {
  for (auto other = sibling_of(tree, node); other != held_.end(); other = sibling_of(tree, node)) {
    add_to(sum, other->second);
    held_.erase(other);
    node = tree.joined(node);
  }
  held_.emplace_back(node, std::move(sum));
}

}  // namespace trireme::strategies::parameter_server
