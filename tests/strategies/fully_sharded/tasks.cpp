#include "tests/strategies/fully_sharded/tasks.h"

#include "tests/support/op_check.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/units.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/reduce.h"

namespace trireme::test {
namespace {

Array numbers(const Shape& item, std::int64_t step, std::int64_t begin, std::int64_t items) {
  Shape all{items};
  for (const std::int64_t size : item) {
    all.push_back(size);
  }
  const Array out = Array::empty(all);
  for (std::int64_t i = 0; i < items; ++i) {
    out.select(0, i).copy_from(random_array(item, static_cast<std::uint64_t>(step * 1000 + begin + i)).to(DType::f32));
  }
  return out;
}

Array labels(std::int64_t step, std::int64_t begin, std::int64_t items, std::int64_t classes) {
  return tokens_of(step, begin, items, 1, classes).flatten();
}

// relu-free: x @ (w * w): the weight is used twice in one op, and may be another unit's.
class Square final : public nn::Module {
 public:
  explicit Square(const Tensor& shared) : shared_(shared) {
    mark_as_unit();
    own_ = add_parameter("own", {4, 4}, nn::Init::normal(0, 0.5));
    bias_ = add_parameter("bias", {3}, nn::Init::constant(0.25));
    tie_parameter("shared", shared);
  }
  Tensor forward(const Tensor& x) override {
    return ops::mul(x, ops::mul(own_, shared_)) + ops::mean(ops::mul(bias_, bias_));
  }

 private:
  Tensor shared_, own_, bias_;
};

class OddModel final : public nn::Module {
 public:
  OddModel() {
    shared_ = add_parameter("shared", {4, 4}, nn::Init::normal(0, 0.5));
    scale_ = add_parameter("scale", {}, nn::Init::constant(1.5));
    left_ = add_parameter("left", {1, 4}, nn::Init::normal(0, 0.5));
    right_ = add_parameter("right", {1, 4}, nn::Init::normal(0, 0.5));
    never_ = add_parameter("never", {3}, nn::Init::constant(1));
    frozen_ = add_parameter("frozen", {5, 4}, nn::Init::normal(0, 1));
    frozen_.set_requires_grad(false);
    first_ = add("first", Square(shared_));
    second_ = add("second", Square(shared_));
    idle_ = add("idle", Square(shared_));  // never called
  }
  Tensor loss(const Array& x, std::int64_t leaf) {
    const nn::ForwardScope scope(*this);
    const Tensor hidden = second_(first_(Tensor(x) + ops::mean(frozen_)));
    return ops::mean(ops::mul(ops::mul(hidden, leaf % 2 == 0 ? left_ : right_), scale_));
  }

 private:
  Tensor shared_, scale_, left_, right_, never_, frozen_;
  nn::Child<Square> first_, second_, idle_;
};

class TableModel final : public nn::Module {
 public:
  TableModel() {
    table_ = add("table", nn::Embedding(37, 5, {.sparse = true}));
    head_ = add("head", nn::Linear(5, 3));
  }
  Tensor loss(const Array& ids, const Array& labels) {
    const nn::ForwardScope scope(*this);
    return ops::cross_entropy(head_(table_(ids)), labels);
  }

 private:
  nn::Child<nn::Embedding> table_;
  nn::Child<nn::Linear> head_;
};

}  // namespace

Task resnet() {
  auto model = std::make_shared<nn::ResNet>(nn::ResNetOptions{.channels = 2, .classes = 3, .blocks = 1, .width = 3});
  return {model, [model](const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
            const std::int64_t begin = split.begin_of(leaf);
            const std::int64_t items = split.items_of(leaf);
            return ops::cross_entropy((*model)(Tensor(numbers({2, 5, 5}, step, begin, items))),
                                      labels(step, begin, items, 3));
          }};
}

Task gpt_with_dropout(bool checkpointed) {
  Task task = gpt({.layers = 2, .heads = 2, .width = 18, .context = 5, .vocab = 31, .dropout = 0.2});
  nn::checkpoint_activations(*task.model, checkpointed);
  return task;
}

Task odd() {
  auto model = std::make_shared<OddModel>();
  return {model, [model](const BatchSplit& /*split*/, std::int64_t step, std::int64_t leaf) {
            return model->loss(numbers({4, 4}, step, leaf, 1).select(0, 0), leaf);
          }};
}

Task table() {
  auto model = std::make_shared<TableModel>();
  return {model, [model](const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
            const std::int64_t begin = split.begin_of(leaf);
            const std::int64_t items = split.items_of(leaf);
            return model->loss(tokens_of(step, begin, items, 1, 37).flatten(), labels(step, begin, items, 3));
          }};
}

}  // namespace trireme::test
