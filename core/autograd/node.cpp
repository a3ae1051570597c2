#include "trireme/core/autograd/node.h"

#include "trireme/core/array/accumulate.h"

namespace trireme {
namespace {

std::uint64_t next_sequence() {
  thread_local constinit std::uint64_t sequence = 0;
  return ++sequence;
}

// A long chain of nodes must not be freed by recursion: drops queue up here and one loop empties the queue.
thread_local std::vector<Node*> doomed;
thread_local bool dooming = false;

}  // namespace

Node::Node(const char* name) : sequence_(next_sequence()), name_(name) {}

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
  if (node == nullptr || node->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  if (dooming) {
    doomed.push_back(node);
    return;
  }
  dooming = true;
  delete node;
  while (!doomed.empty()) {
    Node* next = doomed.back();
    doomed.pop_back();
    delete next;
  }
  dooming = false;
}

void LeafNode::set_gradient(Array gradient) {
  require(gradient.shape() == shape_ && gradient.dtype() == dtype_, "set_gradient: {} given for a leaf of {}{}",
          describe(gradient), name_of(dtype_), to_string(shape_));
  gradient_ = std::move(gradient);
}

void LeafNode::set_buffer(Array buffer) {
  require(!buffer.defined() || (buffer.shape() == shape_ && buffer.dtype() == dtype_ && buffer.is_contiguous()),
          "set_buffer: {} given for a leaf of {}{}", describe(buffer), name_of(dtype_), to_string(shape_));
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
  Array& place = leaf != nullptr ? leaf->gradient_ : target->incoming_;
  if (place.defined()) {
    require(place.shape() == gradient.shape(), "backward of {}: gradient {} for input {}, {} expected", node_.name(),
            describe(gradient), input, describe(place));
    if (!place.is_unique() && leaf == nullptr) {
      place = place.clone();  // shared with the gradient of another node: adding in place would change that too
    }
    accumulate(place, gradient.contiguous());
    return;
  }
  if (leaf == nullptr) {
    place = std::move(gradient);
    return;
  }
  require(gradient.shape() == leaf->shape_, "backward of {}: gradient {} for input {} of shape {}", node_.name(),
          describe(gradient), input, to_string(leaf->shape_));
  if (leaf->buffer_.defined()) {
    leaf->buffer_.copy_from(gradient);
    place = leaf->buffer_;
  } else {
    // A leaf's gradient outlives the pass, so it must not share storage with anything.
    place = gradient.is_unique() && gradient.is_contiguous() ? std::move(gradient) : gradient.clone();
  }
}

std::pair<Array, bool> Gradients::prepare(int input, const Shape& shape, DType dtype) {
  Node* target = node_.inputs_[input];
  LeafNode* leaf = target->as_leaf();
  Array& place = leaf != nullptr ? leaf->gradient_ : target->incoming_;
  if (!place.defined()) {
    const bool has_buffer = leaf != nullptr && leaf->buffer_.defined();
    place = has_buffer ? leaf->buffer_ : Array::empty(shape, dtype);
    require(place.shape() == shape && place.dtype() == dtype, "backward of {}: gradient {}{} for input {} of {}",
            node_.name(), name_of(dtype), to_string(shape), input, describe(place));
    return {place, false};
  }
  if (leaf == nullptr && (!place.is_unique() || !place.is_contiguous())) {
    place = place.clone();
  }
  return {place, true};
}

}  // namespace trireme
