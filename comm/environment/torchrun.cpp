#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

// A launcher inside another one (trireme run in an srun step) sets its own names and says so with a run id. Without it
// a world of one beside many processes is a leftover of some outer environment.
void check_not_left_over(const Variables& variables, const Place& place) {
  const int others = size_of_other_launcher(variables);
  require(place.size > 1 || others <= 1 || variables.has("TORCHELASTIC_RUN_ID"),
          "environment: RANK=0 and WORLD_SIZE=1 say that this process is alone, but the launcher has started {} "
          "processes; unset RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE",
          others);
}

}  // namespace

std::optional<Place> read_torchrun(const Variables& variables) {
  if (!variables.has_any({"RANK", "LOCAL_RANK"})) {
    return std::nullopt;
  }
  const std::string missing =
      variables.missing({"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"});
  require(missing.empty(),
          "environment: {} not set while others of RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
          "MASTER_PORT are; start ranks with `trireme run`, or unset all six for a lone process",
          missing);
  Place place = read_ranks(variables, "torchrun", {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"});
  if (!place.on_one_host()) {
    const char* nodes = variables.has("GROUP_WORLD_SIZE") ? "GROUP_WORLD_SIZE" : "NNODES";
    place.nodes = variables.number_or(nodes, 1, place.size, 0);
    place.node = variables.number_or("GROUP_RANK", 0, place.size - 1, -1);
  }
  place.master_port_taken = variables.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (variables.has("TORCHELASTIC_RUN_ID")) {
    place.job = "torchrun/" + variables.text("TORCHELASTIC_RUN_ID") + "/" + variables.text("MASTER_PORT") + "/" +
                variables.text("TORCHELASTIC_RESTART_COUNT");
  }
  check_not_left_over(variables, place);
  return place;
}

}  // namespace trireme::comm
