#include "trireme/strategies/parameter_server/server/shard.h"

#include "trireme/core/base/error.h"
#include "trireme/core/optim/clip.h"

namespace trireme::strategies::parameter_server {
namespace {

std::unique_ptr<SparseTable> make_table(const Plan& plan, int piece, const optim::Optimizer& optimizer) {
  const Variable& variable = plan.variable_of(piece);
  const std::int64_t row = plan.row_length(piece);
  const std::vector<std::int64_t> states(optimizer.state_names().size(), optimizer.state_per_row() ? 1 : row);
  return std::make_unique<SparseTable>(SparseTable::Layout{variable.name, variable.init, plan.seed, row, states});
}

std::vector<float*> pointers_to(const std::vector<Array>& arrays) {
  std::vector<float*> pointers;
  for (const Array& array : arrays) {
    pointers.push_back(array.data<float>());
  }
  return pointers;
}

}  // namespace

Shard::Shard(const Plan& plan, int server, optim::Optimizer& optimizer)
    : plan_(plan), optimizer_(optimizer), pieces_(plan.pieces_on(server)) {
  std::vector<optim::Slot> slots;
  for (const int piece : pieces_) {
    const Variable& variable = plan.variable_of(piece);
    const std::int64_t first = plan.pieces[static_cast<std::size_t>(piece)].rows.begin * plan.row_length(piece);
    const Array values = Array::empty({variable.sparse ? 0 : plan.elements(piece)});
    if (!variable.sparse) {
      variable.init.fill(plan.seed, variable.name, first, values);
    }
    places_[piece] = slots.size();
    tables_.push_back(variable.sparse ? make_table(plan, piece, optimizer) : nullptr);
    // The rows of a sparse piece that a step touches lie side by side while they are updated, as a dense slot.
    slots.push_back({variable.name, variable.shape, variable.sparse ? 0 : first, false, values, {}});
  }
  optimizer_.attach(std::move(slots));
}

std::size_t Shard::place_of(int piece) const {
  const auto found = places_.find(piece);
  require(found != places_.end(), "piece {} of {} was asked for, which is not on this server", piece,
          plan_.pieces.size());
  return found->second;
}

bool Shard::is_sparse(int piece) const { return tables_[place_of(piece)] != nullptr; }

const Array& Shard::values(int piece) const {
  require(!is_sparse(piece), "all values of the sparse table '{}' were asked for; ask for rows",
          plan_.variable_of(piece).name);
  return optimizer_.slots()[place_of(piece)].value;
}

void Shard::check_rows(int piece, const Array& rows) const {
  const bool sparse = is_sparse(piece);
  const std::string& name = plan_.variable_of(piece).name;
  require(sparse, "rows of '{}' given, which is not a sparse table", name);
  require(rows.dtype() == DType::i64 && rows.dims() == 1 && rows.is_contiguous(),
          "rows of '{}': {} given, i64[n] expected", name, rows);
  const sharding::RowRange range = plan_.pieces[static_cast<std::size_t>(piece)].rows;
  std::int64_t least = range.begin;
  for (const std::int64_t row : rows.span<std::int64_t>()) {
    require(row >= least && row < range.end, "rows of '{}': {} given, ascending ones in [{}, {}) expected", name, row,
            range.begin, range.end);
    least = row + 1;
  }
}

Array Shard::rows(int piece, const Array& rows) const {
  const Array values = Array::empty({rows.count(), plan_.row_length(piece)});
  tables_[place_of(piece)]->read(rows.span<std::int64_t>(), values.reshape({values.count()}));
  return values;
}

std::int64_t Shard::rows_in_memory() const {
  std::int64_t rows = 0;
  for (const auto& table : tables_) {
    rows += table != nullptr ? table->rows_in_memory() : 0;
  }
  return rows;
}

void Shard::check(int piece, const optim::Gradient& gradient) const {
  const bool sparse = is_sparse(piece);
  const std::string& name = plan_.variable_of(piece).name;
  const bool by_rows = gradient.rows.defined();
  require(by_rows == sparse, "gradient of '{}': {} given, {} expected", name, by_rows ? "rows" : "all elements",
          by_rows ? "all elements" : "rows");
  if (by_rows) {
    check_rows(piece, gradient.rows.rows);
  }
  const Array& values = by_rows ? gradient.rows.values : gradient.dense;
  const Shape expected = by_rows ? Shape{gradient.rows.count(), plan_.row_length(piece)} : Shape{plan_.elements(piece)};
  require(values.dtype() == DType::f32 && values.shape() == expected && values.is_contiguous(),
          "gradient of '{}' (piece {}): {} given, f32{} expected", name, piece, values, expected);
}

void Shard::assign(int piece, const Array& values) {
  check(piece, values);
  this->values(piece).copy_from(values);
}

void Shard::add_squares(ExactSum& sum, int piece, const optim::Gradient& gradient) const {
  optim::add_squares(sum, gradient.rows.defined() ? gradient.rows.values : gradient.dense, plan_.row_length(piece));
}

void Shard::take_rows(std::size_t place, const SparseRows& gradient) {
  optim::Slot& slot = optimizer_.slots()[place];
  const std::int64_t rows = gradient.rows.count();
  slot.value = Array::empty({gradient.values.count()});
  for (Array& state : slot.state) {
    state = Array::empty({optimizer_.state_per_row() ? rows : gradient.values.count()});
  }
  tables_[place]->take(gradient.rows.span<std::int64_t>(), slot.value.data<float>(), pointers_to(slot.state));
}

void Shard::put_rows(std::size_t place, const SparseRows& gradient) {
  const optim::Slot& slot = optimizer_.slots()[place];
  tables_[place]->put(gradient.rows.span<std::int64_t>(), slot.value.data<float>(), pointers_to(slot.state));
}

void Shard::update(const std::map<int, optim::Gradient>& gradients, double learning_rate, double factor) {
  std::vector<optim::Gradient> flat(pieces_.size());
  for (const auto& [piece, gradient] : gradients) {
    const std::size_t place = place_of(piece);
    if (gradient.rows.defined()) {
      take_rows(place, gradient.rows);
    }
    flat[place] =
        gradient.rows.defined() ? gradient.rows.values.reshape({gradient.rows.values.count()}) : gradient.dense;
  }
  optimizer_.set_learning_rate(learning_rate);
  optimizer_.update(flat, factor);
  for (const auto& [piece, gradient] : gradients) {
    if (gradient.rows.defined()) {
      put_rows(place_of(piece), gradient.rows);
    }
  }
}

}  // namespace trireme::strategies::parameter_server
