// Optimizer: how parameters move. Works on flat slices of any parameter, so a strategy may give a rank all of a
// parameter, some rows of it, or nothing; the arithmetic of an element never depends on the slice it lies in.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "trireme/core/array/array.h"
#include "trireme/core/array/sparse_rows.h"

namespace trireme::optim {

// One piece of one parameter that this rank updates.
struct Slot {
  std::string name;          // the parameter's
  Shape shape;               // of the whole parameter: rules by dims look here
  std::int64_t first = 0;    // the piece's first element within the whole, row-major
  bool sparse = false;       // gradients are rows; those that they do not name are left alone (lazy updates)
  Array value;               // flat, contiguous: updated in place
  std::vector<Array> state;  // flat; one for each of state_names(), as long as value (or its rows); made by attach()
};

// What a slot is updated by: of a sparse slot the rows that were touched, numbered as in the whole parameter (each
// once, all within the slot's piece); of others a flat array as long as the slot's value. Neither: the slot is left
// alone.
struct Gradient {
  Gradient() = default;
  Gradient(Array values) : dense(std::move(values)) {}        // NOLINT(google-explicit-constructor): update({gradient})
  Gradient(SparseRows touched) : rows(std::move(touched)) {}  // NOLINT(google-explicit-constructor)

  bool defined() const { return dense.defined() || rows.defined(); }
  const float* values() const { return (rows.defined() ? rows.values : dense).data<float>(); }

  Array dense;
  SparseRows rows;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // What is kept for every element: AdamW {"exp_avg", "exp_avg_sq"}. For checkpoints and memory plans.
  virtual std::vector<std::string> state_names() const = 0;
  // True: state has one element for each row (dim 0; of a parameter of one dim for each element), and every slot must
  // be whole rows. The whole parameter's state then has the shape [rows].
  virtual bool state_per_row() const { return false; }

  // Takes over the slots (replacing earlier ones) and makes their state where a slot brings none (zeros). A strategy's
  // prepare() calls this, and says how the gradients of the same parameters are cleared.
  void attach(std::vector<Slot> slots, std::function<void()> clear_gradients = {});
  std::vector<Slot>& slots() { return slots_; }

  // Updates every slot by its gradient, multiplied by `gradient_scale` (clipping) on the way. Counts one step. Raises
  // Error, naming the parameter, for gradients that do not fit their slots.
  void update(const std::vector<Gradient>& gradients, double gradient_scale = 1.0);

  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double value) { learning_rate_ = value; }
  // Finished updates; AdamW's bias correction depends on it. Saved and restored by checkpoints.
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }

  // Clears the gradients of the parameters.
  void zero_grad() {
    if (clear_gradients_) {
      clear_gradients_();
    }
  }

 protected:
  explicit Optimizer(double learning_rate) : learning_rate_(learning_rate) {}
  // One slot of a step. REQUIRES (checked): the gradient fits the slot and is not empty; for_each_piece and
  // for_each_row (flat.h) walk it. steps() still counts the updates before this one.
  virtual void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) = 0;

 private:
  double learning_rate_;
  std::int64_t steps_ = 0;
  std::vector<Slot> slots_;
  std::function<void()> clear_gradients_;
};

}  // namespace trireme::optim
