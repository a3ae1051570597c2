#include "trireme/launcher/failure_report.h"

#include <fmt/format.h>

#include <map>

namespace trireme::launcher {
namespace {

std::string what_follows(Verdict verdict, const ReportContext& context) {
  switch (verdict) {
    case Verdict::restart:
      return fmt::format("all ranks restart (restart {} of at most {})", context.restarts + 1, context.max_restarts);
    case Verdict::never_restart:
      return "the job ends: it would fail the same way again";
    case Verdict::stopped:
      return "the job ends";
    default:
      return context.max_restarts == 0 ? std::string("the job ends (--max-restarts 0)")
                                       : fmt::format("the job ends: {} restart(s) did not help", context.restarts);
  }
}

std::string step_text(const RankOutcome& rank) {
  return rank.last_step < 0 ? std::string() : fmt::format(" in step {}", rank.last_step);
}

std::string way_of_ending(const RankOutcome& rank) {
  if (rank.counted_as_dead) {
    return "stopped by SIGSTOP while others ran, counted as dead and killed";
  }
  if (rank.ended_by_us) {
    return "stopped by the launcher";
  }
  return cluster::describe(rank.end) + (rank.because_of_peer ? " because it missed a peer" : "");
}

// "rank 0 to 3, server 1".
std::string names_of(const std::vector<const RankOutcome*>& outcomes) {
  std::string text;
  for (const bool server : {false, true}) {
    std::vector<int> indices;
    for (const RankOutcome* const outcome : outcomes) {
      if (outcome->server == server) {
        indices.push_back(outcome->index);
      }
    }
    if (!indices.empty()) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", server ? "server" : "rank", rank_list(indices));
    }
  }
  return text;
}

// One line for all other ranks that ended the same way.
std::string others(const AttemptOutcome& outcome, int except) {
  std::map<std::string, std::vector<const RankOutcome*>> groups;
  for (const RankOutcome& rank : outcome.ranks) {
    if (rank.process != except) {
      groups[way_of_ending(rank)].push_back(&rank);
    }
  }
  std::string text;
  for (const auto& [way, ranks] : groups) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", names_of(ranks), way);
  }
  return text;
}

std::string frozen_ranks(const AttemptOutcome& outcome) {
  std::vector<const RankOutcome*> frozen;
  for (const RankOutcome& rank : outcome.ranks) {
    if (rank.was_frozen) {
      frozen.push_back(&rank);
    }
  }
  return names_of(frozen);
}

std::string details(const RankOutcome& rank, const ReportContext& context) {
  std::string text = fmt::format("  {}: process {} on {}\n", name_of(rank), rank.pid, context.host);
  const std::string cause = rank.counted_as_dead
                                ? "somebody or the batch system sent SIGSTOP; a paused job has all its ranks stopped"
                                : cluster::likely_cause(rank.end, rank.memory);
  if (!cause.empty()) {
    text += fmt::format("  likely cause: {}\n", cause);
  }
  if (!rank.error.empty()) {
    text += fmt::format("  it reports: {}\n", rank.error);
  } else if (!rank.last_lines.empty()) {
    text += "  its last lines:\n";
    for (const std::string& line : rank.last_lines) {
      text += fmt::format("    | {}\n", line);
    }
  }
  if (!rank.log_path.empty()) {
    text += fmt::format("  log: {}\n", rank.log_path);
  }
  return text;
}

}  // namespace

std::string rank_list(const std::vector<int>& ranks) {
  std::string text;
  for (std::size_t begin = 0; begin < ranks.size();) {
    std::size_t end = begin + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) {
      ++end;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ", ", ranks[begin]);
    if (end - begin > 1) {
      text += fmt::format("{}{}", end - begin == 2 ? ", " : " to ", ranks[end - 1]);
    }
    begin = end;
  }
  return text;
}

std::string failure_report(const AttemptOutcome& outcome, Verdict verdict, const ReportContext& context) {
  const RankOutcome* cause = culprit(outcome);
  if (verdict == Verdict::stopped) {
    const std::string signal = cluster::signal_name(outcome.stop_signal);
    return fmt::format("trireme run: stopped by {}; {}\n", signal, others(outcome, -1));
  }
  if (cause == nullptr) {
    return fmt::format("trireme run: the job failed; {}\n", others(outcome, -1));
  }
  std::string text = fmt::format("trireme run: {} failed{}: {}; {}\n", name_of(*cause), step_text(*cause),
                                 way_of_ending(*cause), what_follows(verdict, context));
  text += details(*cause, context);
  if (const std::string frozen = frozen_ranks(outcome); !frozen.empty()) {
    text += fmt::format("  frozen at that moment (stopped by SIGSTOP): {}\n", frozen);
  }
  if (outcome.ranks.size() > 1) {
    text += fmt::format("  others: {}\n", others(outcome, cause->process));
  }
  return text;
}

}  // namespace trireme::launcher
