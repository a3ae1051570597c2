#include "trireme/core/autograd/node.h"

#include "trireme/core/array/accumulate.h"

namespace trireme {
namespace {

std::uint64_t next_sequence() {
  thread_local constinit std::uint64_t sequence = 0;
  return ++sequence;
}

}  // namespace

Node::Node(const char* name, bool walks) : walks_(walks), sequence_(next_sequence()), name_(name) {}

Node::~Node() {
  for (Node* input : inputs()) {
    NodeRef::drop(input);
  }
}

NodeRef::NodeRef(const NodeRef& other) : node_(other.node_) { retain(node_); }

void NodeRef::retain(Node* node) {
  if (node != nullptr) {
    node->references_.fetch_add(1, std::memory_order_relaxed);
  }
}

void NodeRef::drop(Node* node) noexcept {
  if (node == nullptr || (node->references_.load(std::memory_order_acquire) != 1 &&
                          node->references_.fetch_sub(1, std::memory_order_acq_rel) != 1)) {
    return;
  }
  doom(node);
}

// A long chain of nodes must not be freed by recursion: drops of nested destructors queue up, linked through the dead
// nodes themselves, and the outermost call empties the queue.
void NodeRef::doom(Node* node) noexcept {
  thread_local constinit Node* doomed = nullptr;
  thread_local constinit bool dooming = false;
  node->next_doomed_ = doomed;
  doomed = node;
  if (dooming) {
    return;
  }
  dooming = true;
  while (doomed != nullptr) {
    Node* next = std::exchange(doomed, doomed->next_doomed_);
    delete next;
  }
  dooming = false;
}

void LeafNode::set_gradient(Array gradient) {
  require(gradient.shape() == shape_ && gradient.dtype() == dtype_, "set_gradient: {} given for a leaf of {}{}",
          gradient, name_of(dtype_), shape_);
  gradient_ = std::move(gradient);
}

void LeafNode::set_buffer(Array buffer) {
  require(!buffer.defined() || (buffer.shape() == shape_ && buffer.dtype() == dtype_ && buffer.is_contiguous()),
          "set_buffer: {} given for a leaf of {}{}", buffer, name_of(dtype_), shape_);
  buffer_ = std::move(buffer);
}

void LeafNode::backward(const Array& /*gradient*/, Gradients& /*gradients*/) {
  if (ready_hook_) {
    ready_hook_();
  }
}

void Gradients::add(int input, Array gradient) {
  Node* target = node_.inputs_[input];
  if (target == nullptr) {
    return;
  }
  LeafNode* leaf = target->as_leaf();
  require_no_rows(input);
  target->contributed_ = true;
  Array& place = leaf != nullptr ? leaf->gradient_ : target->incoming_;
  if (place.defined()) {
    if (place.shape() != gradient.shape() || place.dtype() != gradient.dtype()) [[unlikely]] {
      wrong_gradient(input, gradient, place.shape(), place.dtype());
    }
    own(place, leaf != nullptr);
    accumulate(place, gradient.contiguous());
    return;
  }
  if (leaf == nullptr) {
    place = std::move(gradient);
    return;
  }
  if (gradient.shape() != leaf->shape_ || gradient.dtype() != leaf->dtype_) [[unlikely]] {
    wrong_gradient(input, gradient, leaf->shape_, leaf->dtype_);
  }
  if (leaf->buffer_.defined()) {
    leaf->buffer_.copy_from(gradient);
    place = leaf->buffer_;
  } else {
    // A leaf's gradient outlives the pass, so it must not share storage with anything.
    place = gradient.is_unique() && gradient.is_contiguous() ? std::move(gradient) : gradient.clone();
  }
}

bool Gradients::wants_rows(int input) const {
  Node* target = node_.inputs_[input];
  LeafNode* leaf = target == nullptr ? nullptr : target->as_leaf();
  return leaf != nullptr && leaf->keeps_rows_;
}

void Gradients::add_rows(int input, const SparseRows& rows) {
  LeafNode& leaf = *node_.inputs_[input]->as_leaf();
  leaf.contributed_ = true;
  leaf.row_gradient_ = trireme::add_rows(leaf.row_gradient_, rows);
}

void Gradients::require_no_rows(int input) const {
  if (wants_rows(input)) [[unlikely]] {
    fail(
        "backward of {}: input {} is a table marked sparse, whose gradient is the rows that were looked up; use it in "
        "ops::embedding or ops::embedding_bag only, or do not mark it sparse",
        node_.name(), input);
  }
}

// Before something is added to the elements of `place`: they may be shared with the gradient of another node, or be a
// view with strides. A leaf's are its own from the start.
void Gradients::own(Array& place, bool leaf) {
  if (!place.is_contiguous() || (!leaf && !place.is_unique())) {
    place = place.clone();
  }
}

void Gradients::wrong_gradient(int input, const Array& gradient, const Shape& shape, DType dtype) const {
  fail("backward of {}: gradient {} for input {}, {}{} expected", node_.name(), gradient, input, name_of(dtype), shape);
}

std::pair<Array, bool> Gradients::prepare(int input, const Shape& shape, DType dtype) {
  Node* target = node_.inputs_[input];
  LeafNode* leaf = target->as_leaf();
  require_no_rows(input);
  target->contributed_ = true;
  Array& place = leaf != nullptr ? leaf->gradient_ : target->incoming_;
  const bool fits = place.defined() ? place.shape() == shape && place.dtype() == dtype
                                    : leaf == nullptr || (leaf->shape_ == shape && leaf->dtype_ == dtype);
  if (!fits) [[unlikely]] {
    const Array given = Array::deferred(shape, dtype);
    place.defined() ? wrong_gradient(input, given, place.shape(), place.dtype())
                    : wrong_gradient(input, given, leaf->shape_, leaf->dtype_);
  }
  if (!place.defined()) {
    const bool has_buffer = leaf != nullptr && leaf->buffer_.defined();
    place = has_buffer ? leaf->buffer_ : Array::empty(shape, dtype);
    return {place, false};
  }
  own(place, leaf != nullptr);
  return {place, true};
}

}  // namespace trireme
