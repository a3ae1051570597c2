#include "trireme/core/optim/optimizer.h"

#include <utility>

#include "trireme/core/base/error.h"
#include "trireme/core/optim/rows.h"

namespace trireme::optim {
namespace {

void check_slot(const Slot& slot, bool whole_rows) {
  require(slot.value.dtype() == DType::f32 && slot.value.dims() == 1 && slot.value.is_contiguous(),
          "Optimizer: parameter '{}': slot value {} given, a flat contiguous f32 array expected", slot.name,
          slot.value);
  require(slot.first >= 0 && slot.first + slot.value.count() <= slot.shape.count(),
          "Optimizer: parameter '{}' of shape {}: elements [{}, {}) given, which it does not have", slot.name,
          to_string(slot.shape), slot.first, slot.first + slot.value.count());
  if (whole_rows) {
    const std::int64_t row = row_length(slot.shape);
    require(
        slot.first % row == 0 && slot.value.count() % row == 0,
        "Optimizer: parameter '{}' of shape {}: elements [{}, {}) given, whole rows of {} expected (lazy or row-wise "
        "updates)",
        slot.name, to_string(slot.shape), slot.first, slot.first + slot.value.count(), row);
  }
}

void check_rows(const Slot& slot, const SparseRows& gradient) {
  const std::int64_t row = row_length(slot.shape);
  require(slot.sparse, "Optimizer::update: parameter '{}': a gradient of rows given for a slot that is not sparse",
          slot.name);
  require(gradient.values.dtype() == DType::f32 && gradient.values.is_contiguous() && gradient.rows.is_contiguous() &&
              gradient.values.count() == gradient.rows.count() * row,
          "Optimizer::update: parameter '{}' of shape {}: rows {} with values {} given, contiguous i64[n] and f32[n, "
          "{}] expected",
          slot.name, to_string(slot.shape), gradient.rows, gradient.values, row);
  const std::int64_t first = slot.first / row;
  const std::int64_t last = first + slot.value.count() / row;
  for (const std::int64_t touched : gradient.rows.span<std::int64_t>()) {
    require(touched >= first && touched < last,
            "Optimizer::update: parameter '{}': a gradient of row {} given to the slot of rows [{}, {})", slot.name,
            touched, first, last);
  }
}

void check_dense(const Slot& slot, const Array& gradient) {
  require(!slot.sparse,
          "Optimizer::update: sparse parameter '{}': dense gradient {} given, the rows that were touched expected",
          slot.name, gradient);
  if (gradient.dtype() != DType::f32 || !(gradient.shape() == slot.value.shape()) || !gradient.is_contiguous())
      [[unlikely]] {
    fail("Optimizer::update: parameter '{}': gradient {} given, a contiguous {} expected", slot.name,
         describe(gradient), describe(slot.value));
  }
}

}  // namespace

std::int64_t row_length(const Shape& parameter) {
  return parameter.dims() <= 1 || parameter[0] == 0 ? 1 : parameter.count() / parameter[0];
}

void Optimizer::attach(std::vector<Slot> slots, std::function<void()> clear_gradients) {
  const std::size_t states = state_names().size();
  for (Slot& slot : slots) {
    const bool by_rows = state_per_row();
    check_slot(slot, slot.sparse || by_rows);
    const std::int64_t length = by_rows ? slot.value.count() / row_length(slot.shape) : slot.value.count();
    slot.state.resize(states);
    for (Array& state : slot.state) {
      if (!state.defined()) {
        state = Array::zeros({length});
      }
      require(state.dtype() == DType::f32 && state.shape() == Shape{length} && state.is_contiguous(),
              "Optimizer: parameter '{}': state {} given, a contiguous f32[{}] expected", slot.name, state, length);
    }
  }
  slots_ = std::move(slots);
  clear_gradients_ = std::move(clear_gradients);
}

void Optimizer::update(const std::vector<Gradient>& gradients, double gradient_scale) {
  require(gradients.size() == slots_.size(), "Optimizer::update: {} gradients given for {} slots; attach() comes first",
          gradients.size(), slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Gradient& gradient = gradients[i];
    if (!gradient.defined()) {
      continue;
    }
    const bool by_rows = gradient.rows.defined();
    by_rows ? check_rows(slots_[i], gradient.rows) : check_dense(slots_[i], gradient.dense);
    if ((by_rows ? gradient.rows.values : gradient.dense).count() > 0) {
      update_slot(slots_[i], gradient, gradient_scale);
    }
  }
  ++steps_;
}

}  // namespace trireme::optim
