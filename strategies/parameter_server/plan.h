// What workers and servers must agree on: the variables, how they are cut, and how they are kept consistent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trireme/core/nn/module.h"
#include "trireme/sharding/variable_partition.h"

namespace trireme::strategies::parameter_server {

enum class Consistency : std::uint8_t {
  sync,   // a step is the sum over all lanes, with mirrored training's bits
  ssp,    // no worker is more than `staleness` steps ahead of the slowest living one
  async,  // no bound
};

struct Variable {
  std::string name;
  Shape shape;
  nn::Init init = {};
  bool sparse = false;  // an embedding table: only rows that are touched exist and travel
};

// The same on every worker and server of a job, each of which makes its own from the same program.
struct Plan {
  std::vector<Variable> variables;
  std::vector<sharding::VariablePiece> pieces;  // a piece's index is its name on the wire
  int servers = 1;
  int workers = 1;
  Consistency consistency = Consistency::sync;
  std::int64_t staleness = 0;
  std::uint64_t seed = 0;
  std::string optimizer = {};  // its name and options as text: anything that must be equal

  // Raises Error (usage) as partition_variables() does.
  static Plan make(std::vector<Variable> variables, int servers, int workers, const sharding::Partitioner& partitioner);

  // The piece number of the scalars of a step, which server 0 adds up.
  int scalars() const { return static_cast<int>(pieces.size()); }
  const Variable& variable_of(int piece) const {
    return variables[static_cast<std::size_t>(pieces[static_cast<std::size_t>(piece)].variable)];
  }
  std::int64_t row_length(int piece) const;
  std::int64_t elements(int piece) const;
  std::vector<int> pieces_on(int server) const;
  // How many steps a worker may be ahead of what it must see; nothing: any number.
  std::optional<std::int64_t> bound() const;
  // Says in a line or two, for people, all that must be equal.
  std::string text() const;
};

std::string_view name_of(Consistency consistency);

}  // namespace trireme::strategies::parameter_server
