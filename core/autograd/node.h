// The tape: one Node for each recorded op, and one for each leaf (a parameter).
//
// A Node knows the Nodes of its inputs, so the tape is a graph held alive by its results. Tensor::backward() walks it
// in reverse order of creation. A node's saved arrays are freed as soon as its own backward has run.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trireme/core/array/allocator.h"
#include "trireme/core/array/array.h"
#include "trireme/core/array/sparse_rows.h"

namespace trireme {

class Gradients;
class LeafNode;

inline constexpr int kMaxInputs = 6;

class Node : public Pooled {
 public:
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node();

  // Adds the gradient of each wanted input to `gradients`, given the gradient of this op's result (contiguous). If
  // gradient.is_unique(), nothing else sees its elements and backward may overwrite them.
  virtual void backward(const Array& gradient, Gradients& gradients) = 0;
  // Frees the arrays saved for backward.
  virtual void release() noexcept = 0;
  virtual LeafNode* as_leaf() { return nullptr; }

  const char* name() const { return name_; }
  std::span<Node* const> inputs() const { return {inputs_, static_cast<std::size_t>(input_count_)}; }

 protected:
  // `walks`: its backward runs a backward pass of its own.
  explicit Node(const char* name, bool walks = false);

 private:
  friend class NodeRef;
  friend class Gradients;
  friend class Tape;
  friend class Recorder;

  std::atomic<unsigned> references_{1};
  std::uint8_t input_count_ = 0;
  bool released_ = false;
  bool walks_;
  bool contributed_ = false;  // a leaf: this backward added something to its gradient
  std::int32_t pending_ = 0;  // during backward: consumers that have not delivered yet
  std::uint64_t visit_ = 0;   // the backward() that counted `pending_`
  std::uint64_t sequence_;    // order of creation on this thread
  const char* name_;
  Node* next_doomed_;              // links nodes that wait for their deletion
  Node* inputs_[kMaxInputs] = {};  // owned references; null: that input wants no gradient
  Array incoming_;                 // during backward: the sum of delivered gradients
};

class NodeRef {
 public:
  NodeRef() = default;
  explicit NodeRef(Node* owned) : node_(owned) {}
  NodeRef(const NodeRef& other);
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef() { drop(node_); }

  Node* get() const { return node_; }
  Node* operator->() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }

  static void retain(Node* node);
  static void drop(Node* node) noexcept;

 private:
  static void doom(Node* node) noexcept;

  Node* node_ = nullptr;
};

// The dtype of the gradient of a value: its own, but f32 for bf16, which only ever is a rounded copy to compute with.
constexpr DType gradient_dtype(DType value) { return value == DType::bf16 ? DType::f32 : value; }

// The end of the tape: where a parameter's gradient arrives.
//
// A strategy may give the leaf a `buffer` (a view of a communication bucket): the gradient is then written there
// directly. Several backward passes without take() accumulate in the same place.
//
// A leaf that keeps rows (an embedding table marked sparse) never has a gradient of its own size: ops that look rows up
// give it the rows that they touched, and from others a gradient is an Error.
class LeafNode final : public Node {
 public:
  // `dtype` is the gradient's; the value's may be another (Tensor::set_compute_value).
  LeafNode(const Shape& shape, DType dtype) : Node("leaf"), shape_(shape), dtype_(dtype) {}

  void backward(const Array& gradient, Gradients& gradients) override;
  void release() noexcept override {}
  LeafNode* as_leaf() override { return this; }

  // The gradient so far; undefined if none arrived since clear().
  const Array& gradient() const { return gradient_; }
  void set_gradient(Array gradient);
  void clear() {
    gradient_ = Array();
    row_gradient_ = {};
  }
  // Where the next gradient is to be written: of the gradient's shape and dtype, contiguous. An undefined Array:
  // anywhere.
  void set_buffer(Array buffer);
  const Array& buffer() const { return buffer_; }
  // Runs after the leaf's last contribution in a backward pass, unless there was none. One hook; empty removes it.
  void set_ready_hook(std::function<void()> hook) { ready_hook_ = std::move(hook); }

  // REQUIRES: f32, two dims. For good.
  void keep_rows() { keeps_rows_ = true; }
  bool keeps_rows() const { return keeps_rows_; }
  // Of a leaf that keeps rows, instead of gradient(): the rows that were touched since clear(), undefined if none.
  const SparseRows& row_gradient() const { return row_gradient_; }

 private:
  friend class Gradients;
  friend class Tape;

  Shape shape_;
  DType dtype_;
  Array gradient_;
  Array buffer_;
  SparseRows row_gradient_;
  bool keeps_rows_ = false;
  std::function<void()> ready_hook_;
};

// What an op's backward uses to deliver gradients. Valid only inside Node::backward.
class Gradients {
 public:
  // False: the input needs no gradient; computing one would be wasted work.
  bool wants(int input) const { return node_.inputs_[input] != nullptr; }

  // Adds `gradient` to the gradient of the input. An array whose only owner is this argument is taken over without
  // copy.
  void add(int input, Array gradient);

  // Whether the input is a leaf that keeps rows; then add_rows() is the only way to give it a gradient. Later calls add
  // to earlier ones, row by row.
  bool wants_rows(int input) const;
  void add_rows(int input, const SparseRows& rows);

  // For kernels that can write into a given place: calls write(target, accumulate), where `target` is a contiguous
  // array of the given shape and the kernel must do target += gradient if `accumulate`, else target = gradient.
  // Nothing is called if the input wants no gradient.
  template <class Write>
  void write(int input, const Shape& shape, DType dtype, Write&& write) {
    if (wants(input)) {
      const auto [target, accumulate] = prepare(input, shape, dtype);
      write(target, accumulate);
    }
  }

 private:
  friend class Tape;
  explicit Gradients(Node& node) : node_(node) {}
  std::pair<Array, bool> prepare(int input, const Shape& shape, DType dtype);
  static void own(Array& place, bool leaf);
  void require_no_rows(int input) const;
  [[noreturn]] void wrong_gradient(int input, const Array& gradient, const Shape& shape, DType dtype) const;

  Node& node_;
};

}  // namespace trireme
