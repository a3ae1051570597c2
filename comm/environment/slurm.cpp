#include <charconv>
#include <cstdint>
#include <numeric>

#include "trireme/comm/environment/host_list.h"
#include "trireme/comm/environment/launchers.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

// Steps are numbered from 0; the numbers from here on (slurm.h: SLURM_MAX_NORMAL_STEP_ID) are the batch script, an
// interactive shell and the like. Some versions write words there.
constexpr std::uint32_t kFirstSpecialStep = 0xfffffff0;

bool is_task_of_srun(const Variables& variables) {
  const std::string step = variables.first_text({"SLURM_STEP_ID", "SLURM_STEPID"});
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), number);
  return error == std::errc() && !step.empty() && end == step.data() + step.size() && number < kFirstSpecialStep;
}

const char* tasks_variable(const Variables& variables) {
  return variables.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
}

std::string job_name(const Variables& variables) {
  return "slurm/" + variables.first_text({"SLURM_JOB_ID", "SLURM_JOBID"}) + "." +
         variables.first_text({"SLURM_STEP_ID", "SLURM_STEPID"}) + "/" + variables.text("SLURM_RESTART_COUNT");
}

void read_hosts(const Variables& variables, Place& place) {
  place.hosts = expand_host_list(variables.first_text({"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}));
  const std::string counts = variables.first_text({"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"});
  const std::vector<int> tasks = expand_task_counts(counts);
  place.nodes = static_cast<int>(place.hosts.size());
  place.node = variables.number("SLURM_NODEID", 0, place.nodes - 1);
  const std::int64_t sum = std::accumulate(tasks.begin(), tasks.end(), std::int64_t{0});
  require(
      static_cast<int>(tasks.size()) == place.nodes && sum == place.size,
      "environment: SLURM_TASKS_PER_NODE={} is {} tasks on {} hosts, but {} tasks on {} hosts run; start ranks with "
      "srun, and unset SLURM_TASKS_PER_NODE if a script has set it",
      counts.substr(0, 80), sum, tasks.size(), place.size, place.nodes);
  place.local_size = tasks[static_cast<std::size_t>(place.node)];
}

}  // namespace

std::optional<Place> read_slurm(const Variables& variables) {
  if (!is_task_of_srun(variables)) {
    return std::nullopt;
  }
  std::string missing = variables.missing({"SLURM_PROCID", tasks_variable(variables), "SLURM_LOCALID", "SLURM_NODEID"});
  for (const auto& names : {std::initializer_list<std::string_view>{"SLURM_JOB_ID", "SLURM_JOBID"},
                            {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"},
                            {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}}) {
    if (!variables.has_any(names)) {
      missing += (missing.empty() ? "" : ", ") + std::string(*names.begin());
    }
  }
  require(missing.empty(),
          "environment: {} not set while SLURM_STEP_ID is; start ranks with srun, and let wrappers and containers pass "
          "all SLURM_ names on",
          missing);
  Place place;
  place.launcher = "Slurm";
  place.size = variables.number(tasks_variable(variables), 1, kMaxWorldSize);
  place.rank = variables.number("SLURM_PROCID", 0, place.size - 1);
  read_hosts(variables, place);
  place.local_rank = variables.number("SLURM_LOCALID", 0, place.local_size - 1);
  place.job = job_name(variables);
  place.speaks_mpi = variables.has("PMIX_RANK");  // srun --mpi=pmix
  return place;
}

std::string slurm_job_around(const Variables& variables) {
  const int tasks = variables.number_or("SLURM_NTASKS", 0, kMaxWorldSize, 0);
  const bool inside = variables.has_any({"SLURM_JOB_ID", "SLURM_JOBID"}) && !is_task_of_srun(variables) && tasks > 1;
  return inside ? fmt::format("a Slurm job of {} tasks", tasks) : "";
}

}  // namespace trireme::comm
