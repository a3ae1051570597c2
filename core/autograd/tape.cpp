#include "trireme/core/autograd/tape.h"

#include <algorithm>
#include <atomic>

namespace trireme {
namespace {

// Of the process: a leaf may be walked by one thread today and by another tomorrow.
std::uint64_t next_visit() {
  static constinit std::atomic<std::uint64_t> visit{0};
  return visit.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

void Tape::require_alive(const Node& node) {
  require(!node.released_, "backward: the tape of {} was already walked and freed; run the forward pass again",
          node.name());
}

Tape& Tape::of_this_thread() {
  thread_local Tape tape;
  return tape;
}

void Tape::run(Node& root, Array gradient) {
  struct Pass {
    explicit Pass(Tape& owner)
        : tape(owner),
          first(owner.first_),
          outermost(owner.outermost_),
          running(std::exchange(owner.running_, nullptr)) {
      tape.first_ = tape.ready_.size();
    }
    ~Pass() {
      tape.ready_.resize(tape.first_);
      tape.first_ = first;
      tape.outermost_ = outermost;
      tape.running_ = running;
    }
    Tape& tape;
    std::size_t first;
    std::uint64_t outermost;
    Node* running;
  } pass(*this);
  require(pass.running == nullptr || pass.running->walks_,
          "backward: a pass inside the backward of {}; record that op with walks = true",
          pass.running == nullptr ? "" : pass.running->name());
  count(root);
  root.incoming_ = std::move(gradient);
  ready(&root);
  while (ready_.size() > first_) {
    step(*pop());
  }
}

void Tape::push(Node* node) {
  node->pending_ = 1;  // its own turn: a pass inside this one must not make it ready a second time
  ready_.push_back(node);
  std::push_heap(ready_.begin() + static_cast<std::ptrdiff_t>(first_), ready_.end(),
                 [](const Node* a, const Node* b) { return a->sequence_ < b->sequence_; });
}

Node* Tape::pop() {
  std::pop_heap(ready_.begin() + static_cast<std::ptrdiff_t>(first_), ready_.end(),
                [](const Node* a, const Node* b) { return a->sequence_ < b->sequence_; });
  Node* node = ready_.back();
  ready_.pop_back();
  node->pending_ = 0;
  return node;
}

void Tape::count(Node& root) {
  const std::uint64_t visit = next_visit();
  if (outermost_ == 0) {
    outermost_ = visit;
  }
  require_alive(root);
  root.visit_ = visit;
  root.pending_ = 0;
  stack_.clear();
  stack_.push_back(&root);
  while (!stack_.empty()) {
    Node* node = stack_.back();
    stack_.pop_back();
    for (Node* input : node->inputs()) {
      if (input == nullptr) {
        continue;
      }
      if (input->visit_ < outermost_) {
        require_alive(*input);
        input->pending_ = 0;
        input->incoming_ = Array();
        input->contributed_ = false;
        input->visit_ = visit;
        stack_.push_back(input);
      } else if (input->visit_ != visit) {
        require_alive(*input);  // a node of an outer pass, which waits for it and walks what is below
      }
      ++input->pending_;
    }
  }
}

// A leaf is older than every op: among them its turn would come last. It needs none.
void Tape::ready(Node* node) { node->as_leaf() != nullptr ? step(*node) : push(node); }

void Tape::step(Node& node) {
  if (node.as_leaf() != nullptr) {
    if (node.contributed_) {
      Gradients unused(node);
      node.backward(Array(), unused);
    }
    return;
  }
  {
    Array gradient = std::exchange(node.incoming_, Array());
    if (gradient.defined()) {  // undefined: every consumer declined to give a gradient
      if (!gradient.is_contiguous()) {
        gradient = gradient.clone();
      }
      Gradients gradients(node);
      running_ = &node;
      node.backward(gradient, gradients);
      running_ = nullptr;
    }
  }
  node.release();
  node.released_ = true;
  for (Node* input : node.inputs()) {
    if (input != nullptr && --input->pending_ == 0) {
      ready(input);
    }
  }
}

}  // namespace trireme
