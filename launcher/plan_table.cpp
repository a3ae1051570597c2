#include "trireme/launcher/plan_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "trireme/core/base/bytes_text.h"
#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

using Json = nlohmann::ordered_json;

std::string with_commas(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      text += ',';
    }
    text += digits[i];
  }
  return text;
}

std::string plural(std::int64_t count, const char* word, const char* ending = "s") {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : ending);
}

std::string strategy_text(const Json& plan) {
  const int stage = plan["zero_stage"];
  if (stage == 0) {
    return plan["strategy"];
  }
  return fmt::format("{} (ZeRO stage {}), parameters {}", plan["strategy"].get<std::string>(), stage,
                     plan["shared_memory"] ? "mapped from shared memory" : "gathered when they are needed");
}

std::string head(const Json& plan, const std::string& program) {
  const std::int64_t ranks = plan["ranks"];
  const std::int64_t per_node = plan["ranks_per_node"];
  std::string text = fmt::format("{}: {} parameters, {} on {}\n", program, with_commas(plan["parameters"]),
                                 strategy_text(plan), plural(ranks, "rank"));
  if (ranks > per_node) {
    text.insert(text.size() - 1,
                fmt::format(" ({} x {})", plural((ranks + per_node - 1) / per_node, "node"), per_node));
  }
  return text + fmt::format("A step: {} in {}; a rank runs {} of up to {}, one after another.\n\n",
                            plural(plan["global_batch"], "sample"), plural(plan["lanes"], "lane"),
                            plural(plan["leaves_per_rank"], "micro-batch", "es"),
                            plural(plan["items_per_leaf"], "sample"));
}

// One row a kind, one column a phase; kinds of which there is nothing are left out.
std::string memory_table(const Json& memory) {
  const Json& phases = memory["phases"];
  std::string text = fmt::format("{:<30}", "Memory of a rank");
  for (const auto& [phase, kinds] : phases.items()) {
    text += fmt::format("{:>15}", phase);
  }
  text += "\n";
  std::vector<std::int64_t> totals(phases.size());
  for (const auto& [kind, unused] : phases.begin()->items()) {
    std::string row = fmt::format("  {:<28}", kind);
    std::int64_t most = 0;
    std::size_t column = 0;
    for (const auto& [phase, kinds] : phases.items()) {
      const std::int64_t bytes = kinds[kind];
      most = std::max(most, bytes);
      totals[column++] += bytes;
      row += fmt::format("{:>15}", bytes > 0 ? bytes_text(bytes) : "-");
    }
    text += most > 0 ? row + "\n" : "";
  }
  text += fmt::format("  {:<28}", "total");
  for (const std::int64_t total : totals) {
    text += fmt::format("{:>15}", bytes_text(total));
  }
  return text + fmt::format("\n  persistent (parameters, gradients, optimizer state): {}\n  peak: {}, in {}\n",
                            bytes_text(memory["persistent_bytes"]), bytes_text(memory["peak_bytes"]),
                            memory["peak_phase"].get<std::string>());
}

std::string traffic_lines(const Json& traffic, bool mirrored) {
  std::string text = fmt::format("\nTraffic of a rank and step: {} sent\n", bytes_text(traffic["total_bytes"]));
  const auto line = [&](const char* key, const char* what) {
    const std::int64_t bytes = traffic[key];
    text += bytes > 0 ? fmt::format("  {:<44}{:>15}\n", what, bytes_text(bytes)) : "";
  };
  line("gradients_inside_bytes",
       mirrored ? "gradients, summed over all ranks" : "gradients, to the ranks that own rows");
  line("gradients_across_bytes", "gradients, between the copies of the model");
  line("gathers_bytes", "parameters, gathered");
  return text;
}

std::string verdict(const Json& plan) {
  const std::int64_t limit = plan["limit_bytes"];
  const std::string cgroup = plan["limit_cgroup"];
  const std::string need = fmt::format("{} on this node need {}", plural(plan["ranks_per_node"], "rank"),
                                       bytes_text(plan["bytes_per_node"]));
  if (limit == 0) {
    return fmt::format("\n{}; the memory of the machine is not known.\n", need);
  }
  const std::string have =
      fmt::format("{} {}", cgroup.empty() ? "the memory of the machine is" : "the limit of cgroup " + cgroup + " is",
                  bytes_text(limit));
  std::string text = fmt::format("\n{}: {}, {}.\n", plan["fits"] ? "It fits" : "It does not fit", need, have);
  if (plan["fits"]) {
    return text;
  }
  text += fmt::format("\nWhat would change it{:<58}{:>12}{:>12}\n", "", "of a rank", "of a node");
  for (const Json& remedy : plan["remedies"]) {
    text += fmt::format("  {:<76}{:>12}{:>12}  {}\n", remedy["change"].get<std::string>(),
                        bytes_text(remedy["bytes_per_rank"]), bytes_text(remedy["bytes_per_node"]),
                        remedy["fits"] ? "fits" : "");
  }
  return text + "  or a smaller model; or fewer ranks on a node with more --threads each\n";
}

}  // namespace

PlanText plan_text(const std::string& json, const std::string& program) {
  try {
    const Json plan = Json::parse(json);
    std::string text = head(plan, program) + memory_table(plan["memory"]);
    if (!plan["activations_known"]) {
      text += "  activations are not in it: the program has no formula for its model's\n";
    }
    text += traffic_lines(plan["traffic"], plan["zero_stage"] == 0) + verdict(plan);
    return {std::move(text), plan["fits"]};
  } catch (const nlohmann::json::exception& error) {
    fail("trireme plan: what {} answered is no plan ({}); program and trireme must be of one version", program,
         error.what());
  }
}

}  // namespace trireme::launcher
