#include "trireme/core/autograd/tensor.h"

#include <algorithm>

#include "trireme/core/autograd/checkpoint.h"
#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/autograd/tape.h"
#include "trireme/core/base/activity.h"

namespace trireme {

struct Tensor::Record : public Pooled {
  explicit Record(Array&& array) : value(std::move(array)) {}

  std::atomic<unsigned> references{1};
  bool leaf = false;
  bool weight_from_data = false;
  double weight = 1.0;
  Array value;
  NodeRef node;         // of a result: its op; of a leaf that requires grad: its LeafNode
  NodeRef frozen_node;  // a frozen leaf keeps its LeafNode here, so that thawing restores hooks and buffer
};

Tensor::RecordRef::RecordRef(const RecordRef& other) : record_(other.record_) {
  if (record_ != nullptr) {
    record_->references.fetch_add(1, std::memory_order_relaxed);
  }
}

Tensor::RecordRef::~RecordRef() {
  if (record_ != nullptr && (record_->references.load(std::memory_order_acquire) == 1 ||
                             record_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)) {
    delete record_;
  }
}

Tensor::Tensor(Array value) : record_(new Record(std::move(value))) {}

Tensor Tensor::leaf(Array value) {
  Tensor tensor(std::move(value));
  tensor.record_->leaf = true;
  tensor.record_->node = NodeRef(new LeafNode(tensor.shape(), gradient_dtype(tensor.dtype())));
  return tensor;
}

Tensor::Record& Tensor::checked() const {
  require(defined(), "Tensor: an undefined tensor was used; assign a value to it first");
  return *record_.operator->();
}

const Array& Tensor::array() const { return checked().value; }

void Tensor::set_value(Array value) {
  Record& record = checked();
  require(record.leaf, "set_value: only a leaf's value can be replaced; this tensor is the result of an op");
  require(value.shape() == record.value.shape() && value.dtype() == record.value.dtype(),
          "set_value: {} given for a parameter of {}", value, record.value);
  record.value = std::move(value);
}

void Tensor::set_compute_value(Array value) {
  Record& record = checked();
  require(record.leaf, "set_compute_value: only a leaf's value can be replaced; this tensor is the result of an op");
  const auto computes = [](DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; };
  require(value.shape() == record.value.shape() && computes(value.dtype()) && computes(record.value.dtype()),
          "set_compute_value: {} given for a parameter of {}; the same shape, f32 or bf16 expected", value,
          record.value);
  record.value = std::move(value);
}

bool Tensor::requires_grad() const { return defined() && static_cast<bool>(record_->node); }
bool Tensor::is_leaf() const { return checked().leaf; }

void Tensor::set_requires_grad(bool on) {
  Record& record = checked();
  require(record.leaf, "set_requires_grad: only leaves can be frozen; this tensor is the result of an op");
  if (on != requires_grad()) {
    std::swap(record.node, record.frozen_node);
  }
}

const Array& Tensor::grad() const {
  static const Array none;
  const Record& record = checked();
  return record.leaf && record.node ? record.node->as_leaf()->gradient() : none;
}

void Tensor::zero_grad() {
  if (is_leaf() && requires_grad()) {
    leaf_node().clear();
  }
}

LeafNode& Tensor::leaf_node() const {
  const Record& record = checked();
  require(record.leaf && record.node, "leaf_node: this tensor is not a leaf that requires a gradient");
  return *record.node->as_leaf();
}

const NodeRef& Tensor::node() const { return checked().node; }
double Tensor::weight() const { return checked().weight; }
bool Tensor::weight_depends_on_data() const { return checked().weight_from_data; }

Tensor& Tensor::set_weight(double weight, bool depends_on_data) {
  checked().weight = weight;
  checked().weight_from_data = depends_on_data;
  return *this;
}

bool Recorder::wanted(std::span<const Tensor* const> inputs) {
  StepContext& context = step_context();
  if (!context.recording) {
    if (context.recording_later) {
      context.first_run->touch(inputs);
    }
    return false;
  }
  return std::any_of(inputs.begin(), inputs.end(), [](const Tensor* input) { return input->requires_grad(); });
}

Tensor Recorder::attach(Array value, Node* node, std::span<const Tensor* const> inputs) {
  static_assert(kMaxInputs <= 255);
  NodeRef owner(node);
  require(inputs.size() <= kMaxInputs, "record: op {} has {} inputs, at most {} supported", node->name(), inputs.size(),
          kMaxInputs);
  for (const Tensor* input : inputs) {
    Node* source = input->requires_grad() ? input->node().get() : nullptr;
    NodeRef::retain(source);
    node->inputs_[node->input_count_++] = source;
  }
  Tensor result(std::move(value));
  result.record_->node = std::move(owner);
  return result;
}

void Tensor::backward(const Array& gradient) const {
  require(requires_grad(), "backward: this tensor has no history; no input required a gradient, or NoGrad was active");
  require(gradient.shape() == shape() && gradient.dtype() == dtype(), "backward: gradient {} given for {}", gradient,
          array());
  const NodeRef keep = node();
  Tape::of_this_thread().run(*keep.get(), gradient.clone());
}

void Tensor::backward() const {
  require(count() == 1, "backward: {} given, a scalar expected; pass a gradient for other shapes", array());
  enter_phase(Phase::backward);
  StepOwner* owner = step_context().owner;
  const double root = owner == nullptr ? 1.0 : owner->begin_backward(array(), weight(), weight_depends_on_data());
  backward(Array::full(shape(), root, gradient_dtype(dtype())));
}

}  // namespace trireme
