#include "trireme/core/autograd/checkpoint.h"

#include <algorithm>

#include "trireme/core/autograd/tape.h"

namespace trireme {
namespace {

// A node of the outer pass that stands for uses inside a checkpointed part: its inputs wait for the part's backward. It
// gets no gradient and gives none.
class Claim final : public Node {
 public:
  Claim() : Node("claim") {}
  void backward(const Array& /*gradient*/, Gradients& /*gradients*/) override {}
  void release() noexcept override {}
};

}  // namespace

template <class T>
void RunLog<T>::append(std::span<const T> numbers) {
  constexpr std::int64_t kFirst = 8;
  const auto more = static_cast<std::int64_t>(numbers.size());
  if (!numbers_.defined() || count_ + more > numbers_.count()) {
    Array longer = Array::empty({std::max({kFirst, 2 * count_, count_ + more})}, dtype_of<T>);
    if (count_ > 0) {
      longer.narrow(0, 0, count_).copy_from(numbers_.narrow(0, 0, count_));
    }
    numbers_ = std::move(longer);
  }
  std::ranges::copy(numbers, numbers_.data<T>() + count_);
  count_ += more;
}

template <class T>
void RunLog<T>::read(std::int64_t first, std::span<T> numbers, const char* what) const {
  const auto count = static_cast<std::int64_t>(numbers.size());
  require(first + count <= count_,
          "activation checkpointing: the second run of a part of the forward pass has more {} than its first ({}); a "
          "checkpointed forward must do the same each time it is called",
          what, count_);
  std::copy_n(numbers_.data<T>() + first, count, numbers.begin());
}

template class RunLog<std::int64_t>;
template class RunLog<double>;

FirstRun::FirstRun() : outer_(step_context().first_run) {
  StepContext& context = step_context();
  context.recording = false;
  context.recording_later = true;
  context.first_run = this;
}

void FirstRun::leave() noexcept {
  if (open_) {
    open_ = false;
    StepContext& context = step_context();
    context.recording = true;
    context.recording_later = false;
    context.first_run = outer_;
  }
}

void FirstRun::end() {
  leave();
  if (touched_count_ > 0) {
    claim();
  }
}

void FirstRun::touch(std::span<const Tensor* const> inputs) {
  for (const Tensor* input : inputs) {
    if (input->requires_grad()) {
      touched_[touched_count_++] = *input;
      if (touched_count_ == touched_.size()) {
        claim();
      }
    }
  }
}

void FirstRun::claim() {
  std::array<const Tensor*, kMaxInputs> inputs{};
  std::size_t count = 0;
  for (; count < touched_count_; ++count) {
    inputs[count] = &touched_[count];
  }
  inputs[count++] = &claims_;
  claims_ = Recorder::attach(Array(), new Claim, std::span(inputs.data(), count));
  touched_.fill(Tensor());
  touched_count_ = 0;
}

SecondRun::SecondRun(const RunState& state) : state_(state), before_(step_context()) {
  StepContext& context = step_context();
  context = state.context();
  context.recording = true;
  context.recording_later = false;
  context.first_run = nullptr;
  context.second_run = this;
}

NodeRef SecondRun::history_of(const Tensor& result, const Array& gradient) const {
  if (result.shape() != gradient.shape() || result.dtype() != gradient.dtype()) [[unlikely]] {
    fail(
        "activation checkpointing: the second run of a part of the forward pass gave {}, its first {}; a checkpointed "
        "forward must do the same each time it is called",
        result.array(), gradient);
  }
  return result.node();
}

std::uint64_t SecondRun::next_instance() {
  std::int64_t instance = 0;
  state_.instances.read(instances_++, {&instance, 1}, "random ops");
  return static_cast<std::uint64_t>(instance);
}

void SecondRun::next_fetched(std::span<double> numbers) {
  state_.fetched.read(fetched_, numbers, "numbers from other ranks");
  fetched_ += static_cast<std::int64_t>(numbers.size());
}

void walk_inside(Node& root, const Array& gradient) { Tape::of_this_thread().run(root, gradient); }

}  // namespace trireme
