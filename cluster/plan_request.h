// How `trireme plan` asks a training program for its plan instead of a run.
//
// The launcher starts one process of the program with TRIREME_PLAN = "RANKS RANKS_PER_NODE FD" in its environment. The
// program writes the line "planning" to that descriptor as soon as it has understood its options, then its plan as one
// JSON object (training/job_plan.h), and exits with 0 without training. A program that does not know the variable never
// writes the line, by which the launcher sees that it would train instead, and ends it.
#pragma once

#include <optional>
#include <string>

namespace trireme::cluster {

inline constexpr const char* kPlanVariable = "TRIREME_PLAN";
inline constexpr const char* kPlanning = "planning\n";

struct PlanRequest {
  int ranks = 1;  // of the job that is planned
  int ranks_per_node = 1;
  int reply_fd = -1;

  // Nothing without the variable. Raises a usage Error if it makes no sense.
  static std::optional<PlanRequest> from_environment();
  // The variable's value.
  std::string text() const;
  // Writes all of it to reply_fd; false if the launcher has gone. Blocks while it does not read.
  bool reply(const std::string& text) const;
};

}  // namespace trireme::cluster
