// What a step has changed of a sparse table, on its way from the rows' owners to the ranks that keep the table whole.
#pragma once

#include <cstddef>
#include <string_view>

#include "trireme/comm/communicator.h"
#include "trireme/strategies/fully_sharded/parameter_home.h"

namespace trireme::strategies {

class TouchedRows {
 public:
  // `numbers`: of the rows, ascending, the same on all ranks; `own`: this rank's rows of the parameter, flat. Starts
  // the exchange: collective over the group, does not block.
  TouchedRows(comm::Communicator& group, const ShardMap& map, std::size_t parameter, const Array& numbers,
              const Array& own, std::string_view name);
  // Waits, then writes the rows to the whole table.
  void finish(const Array& table);
  std::size_t parameter() const { return parameter_; }

 private:
  std::size_t parameter_;
  std::int64_t width_;
  Array numbers_;
  Array values_;  // of all touched rows, behind each other
  comm::Work work_;
};

// From the optimizer's rows of a parameter to this rank's rows of what forward reads, where these lie apart: what has
// changed, as ParameterHome::publish is told. Nothing if `masters` is undefined.
void show_masters(const ShardMap& map, std::size_t parameter, const ParameterHome::Touched& touched,
                  const Array& masters, const Array& shown);

}  // namespace trireme::strategies
