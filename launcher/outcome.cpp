#include "trireme/launcher/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace trireme::launcher {
namespace {

// Smaller is the more likely cause: own errors before a peer's, then who ended first, then death before an exit code
// (an exit may be the answer to a death seen in the same wake-up).
auto suspicion(const RankOutcome& rank) {
  return std::tuple(rank.because_of_peer, rank.order, rank.end.signal == 0, rank.process);
}

bool is_failure(const RankOutcome& rank) { return rank.end.failed() && !rank.ended_by_us; }

// Would fail the same way again: a wrong command line, or an error before there was anything to lose.
bool is_hopeless(const AttemptOutcome& outcome, const RankOutcome& cause) {
  const bool any_usage = std::any_of(outcome.ranks.begin(), outcome.ranks.end(), [](const RankOutcome& rank) {
    return is_failure(rank) && rank.end.exit_code == cluster::kExitUsage;
  });
  const bool peer_froze = cause.because_of_peer && std::any_of(outcome.ranks.begin(), outcome.ranks.end(),
                                                               [](const RankOutcome& rank) { return rank.was_frozen; });
  const auto has_done_a_step = [](const RankOutcome& rank) { return rank.steps_begun >= 2; };
  const bool first_step_done = cause.server ? std::any_of(outcome.ranks.begin(), outcome.ranks.end(), has_done_a_step)
                                            : has_done_a_step(cause);  // servers report no steps
  return any_usage || (cause.end.exit_code == cluster::kExitError && !first_step_done && !peer_froze);
}

}  // namespace

std::string name_of(const RankOutcome& outcome) {
  return fmt::format("{} {}", outcome.server ? "server" : "rank", outcome.index);
}

const RankOutcome* culprit(const AttemptOutcome& outcome) {
  const RankOutcome* found = nullptr;
  for (const RankOutcome& rank : outcome.ranks) {
    if (is_failure(rank) && (found == nullptr || suspicion(rank) < suspicion(*found))) {
      found = &rank;
    }
  }
  return found;
}

Verdict judge(const AttemptOutcome& outcome, int restarts, int max_restarts) {
  const auto all = [&](auto&& holds) { return std::all_of(outcome.ranks.begin(), outcome.ranks.end(), holds); };
  if (all([](const RankOutcome& rank) { return rank.end.done(); })) {
    return Verdict::done;
  }
  if (all([](const RankOutcome& rank) { return rank.end.done() || rank.end.requeue(); })) {
    return Verdict::requeue;
  }
  if (outcome.stop_signal != 0) {
    return Verdict::stopped;
  }
  const RankOutcome* cause = culprit(outcome);
  if (cause != nullptr && is_hopeless(outcome, *cause)) {
    return Verdict::never_restart;
  }
  return restarts < max_restarts ? Verdict::restart : Verdict::failed;
}

int exit_code(Verdict verdict, const AttemptOutcome& outcome) {
  switch (verdict) {
    case Verdict::done:
      return cluster::kExitDone;
    case Verdict::requeue:
      return cluster::kExitRequeue;
    case Verdict::never_restart:
      return culprit(outcome)->end.exit_code;
    default:
      return cluster::kExitError;
  }
}

}  // namespace trireme::launcher
