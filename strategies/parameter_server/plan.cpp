#include "trireme/strategies/parameter_server/plan.h"

#include <fmt/core.h>

#include "trireme/core/base/hash.h"
#include "trireme/core/optim/rows.h"

namespace trireme::strategies::parameter_server {

Plan Plan::make(std::vector<Variable> variables, int servers, int workers, const sharding::Partitioner& partitioner) {
  std::vector<Shape> shapes;
  for (const Variable& variable : variables) {
    shapes.push_back(variable.shape);
  }
  Plan plan;
  plan.pieces = sharding::partition_variables(shapes, servers, partitioner);
  plan.variables = std::move(variables);
  plan.servers = servers;
  plan.workers = workers;
  return plan;
}

std::int64_t Plan::row_length(int piece) const { return optim::row_length(variable_of(piece).shape); }

std::int64_t Plan::elements(int piece) const {
  return pieces[static_cast<std::size_t>(piece)].rows.size() * row_length(piece);
}

std::vector<int> Plan::pieces_on(int server) const {
  std::vector<int> found;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].server == server) {
      found.push_back(static_cast<int>(i));
    }
  }
  return found;
}

std::optional<std::int64_t> Plan::bound() const {
  switch (consistency) {
    case Consistency::sync:
      return 0;
    case Consistency::ssp:
      return staleness;
    case Consistency::async:
      break;
  }
  return std::nullopt;
}

std::string Plan::text() const {
  Xxh3 hash;
  for (const Variable& variable : variables) {
    hash.update(fmt::format("{} {} {} {} {} {}\n", variable.name, variable.shape, variable.sparse,
                            static_cast<int>(variable.init.kind), variable.init.a, variable.init.b));
  }
  for (const sharding::VariablePiece& piece : pieces) {
    hash.update(fmt::format("{} {} {} {}\n", piece.variable, piece.server, piece.rows.begin, piece.rows.end));
  }
  return fmt::format("{} workers, {} servers, {} (staleness {}), {} variables in {} pieces ({}), seed {}, {}", workers,
                     servers, name_of(consistency), staleness, variables.size(), pieces.size(),
                     hash_text(hash.digest()), seed, optimizer);
}

std::string_view name_of(Consistency consistency) {
  switch (consistency) {
    case Consistency::sync:
      return "sync";
    case Consistency::ssp:
      return "ssp";
    case Consistency::async:
      break;
  }
  return "async";
}

}  // namespace trireme::strategies::parameter_server
