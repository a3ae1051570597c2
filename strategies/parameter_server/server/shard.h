// Shard: the pieces of variables that one server holds, and the optimizer that moves them.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "trireme/core/base/exact_sum.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/strategies/parameter_server/plan.h"
#include "trireme/strategies/parameter_server/server/sparse_table.h"

namespace trireme::strategies::parameter_server {

class Shard {
 public:
  // Gives the pieces of `server` their first values, and attaches the optimizer to them. Both must outlive this.
  Shard(const Plan& plan, int server, optim::Optimizer& optimizer);

  bool has(int piece) const { return places_.contains(piece); }
  bool is_sparse(int piece) const;
  const std::vector<int>& pieces() const { return pieces_; }
  // Of a dense piece: all its values, flat; updated in place.
  const Array& values(int piece) const;
  // Replaces them. Raises Error for another dtype or length.
  void assign(int piece, const Array& values);
  // Of a sparse one: copies of these rows, [n, row]. REQUIRES: checked rows.
  Array rows(int piece, const Array& rows) const;
  // Raises Error unless the rows are i64[n], ascending, each once, within the piece.
  void check_rows(int piece, const Array& rows) const;
  std::int64_t rows_in_memory() const;

  // Raises Error unless the gradient fits the piece: dtype, length, rows.
  void check(int piece, const optim::Gradient& gradient) const;
  void add_squares(ExactSum& sum, int piece, const optim::Gradient& gradient) const;
  // One step of the optimizer on the pieces given; others are left alone. REQUIRES: checked gradients.
  void update(const std::map<int, optim::Gradient>& gradients, double learning_rate, double factor);

 private:
  std::size_t place_of(int piece) const;
  void take_rows(std::size_t place, const SparseRows& gradient);
  void put_rows(std::size_t place, const SparseRows& gradient);

  const Plan& plan_;
  optim::Optimizer& optimizer_;
  std::vector<int> pieces_;
  std::map<int, std::size_t> places_;                 // piece -> index into pieces_, tables_ and the optimizer's slots
  std::vector<std::unique_ptr<SparseTable>> tables_;  // null: a dense piece
};

}  // namespace trireme::strategies::parameter_server
