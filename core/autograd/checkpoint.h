// Activation checkpointing (Chen et al., "Training deep nets with sublinear memory cost", 2016): a part of the forward
// pass keeps nothing for backward but what it was called with, and runs a second time when backward arrives there.
//
// The second run gives the same bits: it sees the step_context() of the first, random ops get the instances that they
// drew then, what came from other ranks is kept and not asked for again, and layers that observe (batch normalization)
// do not observe again. Gradients are the same bits too: the second run's ops add theirs where the first's would have,
// in the same order.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "trireme/core/autograd/tensor.h"

namespace trireme {

// Numbers that a first run leaves for the second, in order; T is std::int64_t or double.
template <class T>
class RunLog {
 public:
  void append(std::span<const T> numbers);
  // Those from `first` on. Raises Error if the first run left fewer, of what `what` says.
  void read(std::int64_t first, std::span<T> numbers, const char* what) const;

 private:
  Array numbers_;  // undefined while there are none
  std::int64_t count_ = 0;
};

// What makes a second run equal to the first.
class RunState {
 public:
  RunState() : context_(step_context()) {}

  const StepContext& context() const { return context_; }

  RunLog<std::int64_t> instances;  // of random ops
  RunLog<double> fetched;          // by ops that ask other ranks

 private:
  StepContext context_;
};

// While it lives, ops of this thread record nothing, and what they would have recorded is noted. For checkpointed().
class FirstRun {
 public:
  // REQUIRES: step_context().recording.
  FirstRun();
  ~FirstRun() { leave(); }
  FirstRun(const FirstRun&) = delete;
  FirstRun& operator=(const FirstRun&) = delete;

  // An op has these inputs. Called by Recorder::wanted.
  void touch(std::span<const Tensor* const> inputs);
  void keep_instance(std::uint64_t instance) {
    const auto number = static_cast<std::int64_t>(instance);
    state_.instances.append({&number, 1});
  }
  void keep_fetched(std::span<const double> numbers) { state_.fetched.append(numbers); }

  void end();  // instead of the destructor, if the run ended well
  // A tensor without value whose history is all that had one among the inputs; undefined if none had. After end().
  const Tensor& claims() const { return claims_; }
  RunState&& state() { return std::move(state_); }

 private:
  void leave() noexcept;
  void claim();

  RunState state_;
  bool open_ = true;
  FirstRun* outer_;
  Tensor claims_;
  std::array<Tensor, kMaxInputs - 1> touched_;
  std::size_t touched_count_ = 0;
};

// While it lives, ops of this thread record, in the context of the first run. For checkpointed().
class SecondRun {
 public:
  explicit SecondRun(const RunState& state);
  ~SecondRun() { step_context() = before_; }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;

  std::uint64_t next_instance();
  void next_fetched(std::span<double> numbers);
  // The history of the result; null if it has none. Raises Error unless the result fits the gradient.
  NodeRef history_of(const Tensor& result, const Array& gradient) const;

 private:
  const RunState& state_;
  StepContext before_;
  std::int64_t instances_ = 0;  // given out, and
  std::int64_t fetched_ = 0;
};

// The instance of a random op: draw() says it in the first run of a part of the forward pass, a second run gets the
// same again. draw() counts calls, so it must not be asked twice for one.
template <class Draw>
std::uint64_t op_instance(Draw&& draw) {
  const StepContext& context = step_context();
  const std::uint64_t instance = context.second_run != nullptr ? context.second_run->next_instance() : draw();
  if (context.first_run != nullptr) {
    context.first_run->keep_instance(instance);
  }
  return instance;
}

// Numbers that an op has from other ranks (sums over the global batch): fetch() writes them to `numbers` in the first
// run of a part of the forward pass, a second run gets the same again.
template <class Fetch>
void fetch_once(std::span<double> numbers, Fetch&& fetch) {
  const StepContext& context = step_context();
  if (context.second_run != nullptr) {
    context.second_run->next_fetched(numbers);
  } else {
    fetch();
  }
  if (context.first_run != nullptr) {
    context.first_run->keep_fetched(numbers);
  }
}

// Walks from `root` inside the backward of another node.
void walk_inside(Node& root, const Array& gradient);

// function() -> Tensor, whose ops keep nothing for backward: they run again there. `function` is kept until then, with
// the tensors that it holds; it must compute the same again, and must not own what backward has to free early.
//
// Without recording, or if nothing that it used has a history, its result as it is. May be nested.
template <class Function>
Tensor checkpointed(Function function) {
  if (!step_context().recording) {
    return function();
  }
  FirstRun run;
  Tensor out = function();
  run.end();
  if (out.requires_grad() || !run.claims().defined()) {
    return out;  // it was made elsewhere, or needs no gradient
  }
  auto backward = [state = run.state(), function = std::move(function)](const Array& gradient,
                                                                        Gradients& /*inner*/) mutable {
    NodeRef root;
    {
      SecondRun again(state);
      root = again.history_of(function(), gradient);
    }
    if (root) {
      walk_inside(*root.get(), gradient);
    }
  };
  const Tensor* inputs[] = {&run.claims()};
  auto* node = new OpNode<decltype(backward)>("checkpoint", std::move(backward), true);
  Tensor result = Recorder::attach(out.array(), node, inputs);
  result.set_weight(out.weight(), out.weight_depends_on_data());
  return result;
}

}  // namespace trireme
