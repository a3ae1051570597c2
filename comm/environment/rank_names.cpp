#include "trireme/comm/environment/launchers.h"

namespace trireme::comm {

Place read_ranks(const Variables& variables, const char* launcher, const RankNames& names) {
  Place place;
  place.launcher = launcher;
  place.size = variables.number(names.size, 1, kMaxWorldSize);
  place.rank = variables.number(names.rank, 0, place.size - 1);
  place.local_size = variables.number(names.local_size, 1, place.size);
  place.local_rank = variables.number(names.local_rank, 0, place.local_size - 1);
  if (place.on_one_host()) {
    place.nodes = 1;
    place.node = 0;
  }
  return place;
}

}  // namespace trireme::comm
