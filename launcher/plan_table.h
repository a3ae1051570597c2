// A plan for people. Pure.
#pragma once

#include <string>

namespace trireme::launcher {

struct PlanText {
  std::string text;  // several lines
  bool fits = false;
};

// `json`: what the program answered (training/job_plan.h). `program`: its name. Raises Error if it is no plan.
PlanText plan_text(const std::string& json, const std::string& program);

}  // namespace trireme::launcher
