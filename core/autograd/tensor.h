// Tensor: an Array with history. Ops on tensors record how to compute gradients; backward() computes them.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "trireme/core/autograd/node.h"
#include "trireme/core/base/step_context.h"

namespace trireme {

// A handle: copying a Tensor shares value, gradient and history, as in PyTorch. Not for sharing between threads.
class Tensor {
 public:
  Tensor() = default;
  // A value without history. Implicit, so that data arrays can be passed where tensors are expected.
  Tensor(Array value);  // NOLINT(google-explicit-constructor)
  // A leaf: gradients of later results arrive in grad(). The array may be deferred (shape only) until set_value().
  static Tensor leaf(Array value);

  bool defined() const { return static_cast<bool>(record_); }
  const Array& array() const;
  const Shape& shape() const { return array().shape(); }
  int dims() const { return array().dims(); }
  std::int64_t size(int dim) const { return array().size(dim); }
  std::int64_t count() const { return array().count(); }
  DType dtype() const { return array().dtype(); }
  double item() const { return array().item(); }

  // Replaces the value of a leaf (initialization, loading, resharding); shape and dtype must be equal.
  void set_value(Array value);
  // Mixed precision: replaces the value of a leaf, f32 or bf16, by another of these two dtypes and the same shape. Ops
  // then read, say, a bf16 copy that a strategy rounds from the f32 value it keeps; the gradient stays f32.
  void set_compute_value(Array value);

  bool requires_grad() const;
  bool is_leaf() const;
  // Freezes (false) or thaws (true) a leaf. Raises Error on a result.
  void set_requires_grad(bool on);
  // The same value without history.
  Tensor detach() const { return Tensor(array()); }

  // The accumulated gradient of a leaf; an undefined Array if none arrived.
  const Array& grad() const;
  void zero_grad();
  // The leaf's node, for strategies: buffer, hook, gradient. Raises Error if this is not a leaf that requires grad.
  LeafNode& leaf_node() const;
  const NodeRef& node() const;

  // Computes the gradients of all leaves of a scalar; starts with 1, or with the loss's weight that the strategy says.
  // Frees the tape. Raises Error if the tensor has no history or was already walked.
  void backward() const;
  // As above for any shape, starting with the given gradient.
  void backward(const Array& gradient) const;

  // How many terms a mean loss was taken over, and whether that number depends on the data (ignored labels): strategies
  // weight lanes by it. 1 unless a loss sets it.
  double weight() const;
  bool weight_depends_on_data() const;
  Tensor& set_weight(double weight, bool depends_on_data);

 private:
  struct Record;
  friend class Recorder;

  class RecordRef {
   public:
    RecordRef() = default;
    explicit RecordRef(Record* owned) : record_(owned) {}
    RecordRef(const RecordRef& other);
    RecordRef(RecordRef&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    RecordRef& operator=(RecordRef other) noexcept {
      std::swap(record_, other.record_);
      return *this;
    }
    ~RecordRef();
    Record* operator->() const { return record_; }
    explicit operator bool() const { return record_ != nullptr; }

   private:
    Record* record_ = nullptr;
  };

  Record& checked() const;
  RecordRef record_;
};

// Attaches history to the result of an op. Used by record() below.
class Recorder {
 public:
  // True if any input wants a gradient and this thread records.
  static bool wanted(std::span<const Tensor* const> inputs);
  static Tensor attach(Array value, Node* node, std::span<const Tensor* const> inputs);
};

template <class Backward>
class OpNode final : public Node {
 public:
  OpNode(const char* name, Backward backward, bool walks) : Node(name, walks), backward_(std::move(backward)) {}
  ~OpNode() override {
    if (alive_) {
      backward_.~Backward();
    }
  }
  void backward(const Array& gradient, Gradients& gradients) override { backward_(gradient, gradients); }
  void release() noexcept override {
    backward_.~Backward();
    alive_ = false;
  }

 private:
  union {
    Backward backward_;
  };
  bool alive_ = true;
};

// The one way to write an op: compute the result, give a lambda for the gradient, return both.
//
//   Tensor sin(const Tensor& x) {
//     return record("sin", sin_forward(x.array()), {&x}, [x = x.array()](const Array& gradient, Gradients& gradients) {
//       gradients.add(0, sin_backward(gradient, x));
//     });
//   }
//
// The lambda captures exactly the arrays that backward needs. `name` must be a string literal. At most kMaxInputs
// inputs. An op whose backward walks a tape of its own (it recomputes a part of the forward pass) must say so by
// `walks`, and every tensor with history that the walk reaches must be among its inputs: these then wait for what the
// walk adds to their gradients. checkpointed() (core/autograd/checkpoint.h) sees to both.
template <class Backward>
Tensor record(const char* name, Array value, std::span<const Tensor* const> inputs, Backward&& backward,
              bool walks = false) {
  if (!Recorder::wanted(inputs)) {
    return Tensor(std::move(value));
  }
  auto* node = new OpNode<std::decay_t<Backward>>(name, std::forward<Backward>(backward), walks);
  return Recorder::attach(std::move(value), node, inputs);
}
template <class Backward>
Tensor record(const char* name, Array value, std::initializer_list<const Tensor*> inputs, Backward&& backward,
              bool walks = false) {
  return record(name, std::move(value), std::span<const Tensor* const>(inputs.begin(), inputs.size()),
                std::forward<Backward>(backward), walks);
}

}  // namespace trireme
