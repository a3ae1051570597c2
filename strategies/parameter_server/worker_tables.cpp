// Sparse tables of a worker: rows are asked for when a forward pass looks them up, and their gradients go to the
// servers by rows.
#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/parameter_server.h"

namespace trireme::strategies {
namespace {

using parameter_server::Kind;
using parameter_server::Message;

// Sorted, each once.
Array unique_rows(const Array& indices) {
  std::vector<std::int64_t> rows = indices.to_vector<std::int64_t>();
  std::ranges::sort(rows);
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  const auto count = static_cast<std::int64_t>(rows.size());
  return Array::from(rows, {count});
}

}  // namespace

SparseRows ParameterServer::rows_of(const Node* table, const Array& indices) {
  for (std::size_t variable = 0; variable < parameter_of_.size(); ++variable) {
    if (is_table(variable) && parameters()[parameter_of_[variable]].tensor.node().get() == table) {
      const Array rows = unique_rows(indices);
      return pull_rows(variable, rows);
    }
  }
  fail("parameter_server: a look-up in a table that does not belong to the model given to prepare()");
}

// Pieces of a variable are in order of their rows, so what the servers answer is put together as it was cut.
SparseRows ParameterServer::pull_rows(std::size_t variable, const Array& rows) {
  struct Part {
    int server;
    std::uint64_t request;
    std::int64_t begin;  // of its rows among all
  };
  std::vector<Part> parts;
  const auto all = rows.span<std::int64_t>();
  for (int piece = 0; piece < plan_.scalars(); ++piece) {
    const sharding::VariablePiece& place = plan_.pieces[static_cast<std::size_t>(piece)];
    const auto begin = std::ranges::lower_bound(all, place.rows.begin) - all.begin();
    const auto end = std::ranges::lower_bound(all, place.rows.end) - all.begin();
    if (static_cast<std::size_t>(place.variable) == variable && begin < end) {
      Message pull{.kind = Kind::pull, .step = step_, .entries = {{.piece = piece, .sparse = true}}};
      parts.push_back(
          {place.server, client_->request(place.server, std::move(pull), {rows.narrow(0, begin, end - begin)}), begin});
    }
  }
  const Array values = Array::empty({rows.count(), plan_.variables[variable].shape[1]});
  for (const Part& part : parts) {
    const Array found = client_->wait(part.server, part.request).arrays.at(0);
    values.narrow(0, part.begin, found.size(0)).copy_from(found);
  }
  return {rows, values};
}

void ParameterServer::reduce_tables(SparseGradients& tables, const StepPlan& plan) {
  tables_ = &tables;
  if (tables.tables() == 0) {
    return;
  }
  std::vector<std::vector<SparseRows>> parts = tables.take_parts(plan);
  if (is_sync()) {
    push_tables(parts, plan);
    return;
  }
  if (parts.empty()) {
    parts.emplace_back(tables.tables());
  }
  add_slots(parts, reduction_plan(plan.lanes.parts, plan.split.leaves()));
  tables.set_reduced(std::move(parts[0]));
}

// A part without rows is sent too: the servers wait for every lane.
void ParameterServer::push_tables(const std::vector<std::vector<SparseRows>>& parts, const StepPlan& plan) {
  std::vector<Message> messages(static_cast<std::size_t>(plan_.servers),
                                Message{.kind = Kind::push, .step = step_, .split = plan.split});
  std::vector<std::vector<Array>> arrays(messages.size());
  const std::size_t dense = parameter_of_.size() - tables_->tables();
  for (int piece = 0; piece < plan_.scalars(); ++piece) {
    const sharding::VariablePiece& place = plan_.pieces[static_cast<std::size_t>(piece)];
    const auto variable = static_cast<std::size_t>(place.variable);
    const auto server = static_cast<std::size_t>(place.server);
    for (std::size_t part = 0; is_table(variable) && part < parts.size(); ++part) {
      const SparseRows& touched = parts[part][variable - dense];
      const SparseRows rows =
          touched.defined() ? rows_between(touched, place.rows.begin, place.rows.end)
                            : SparseRows{Array::empty({0}, DType::i64), Array::empty({0, plan_.row_length(piece)})};
      messages[server].entries.push_back({.piece = piece, .part = plan.lanes.parts[part], .sparse = true});
      arrays[server].insert(arrays[server].end(), {rows.rows, rows.values});
    }
  }
  for (std::size_t server = 0; server < messages.size(); ++server) {
    if (!arrays[server].empty()) {
      client_->request(static_cast<int>(server), std::move(messages[server]), std::move(arrays[server]));
    }
  }
}

}  // namespace trireme::strategies
