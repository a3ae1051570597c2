#include "trireme/cluster/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <optional>
#include <utility>

#include "trireme/core/base/error.h"

namespace trireme::cluster {
namespace {

using Kind = Fault::Kind;
constexpr std::array<std::pair<std::string_view, Kind>, 6> kKinds = {{{"kill", Kind::kill},
                                                                      {"segv", Kind::segv},
                                                                      {"stop", Kind::stop},
                                                                      {"exit", Kind::exit},
                                                                      {"cut", Kind::cut},
                                                                      {"disk_full", Kind::disk_full}}};
constexpr std::string_view kGrammar =
    "KIND:TARGET,step=S is expected, KIND = kill, segv, stop, exit (also code=C), cut or disk_full, TARGET = rank=N or "
    "coordinator; for example kill:rank=1,step=3";

std::string_view kind_name(Kind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& entry) { return entry.second == kind; })->first;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value >= 0 ? std::optional(value) : std::nullopt;
}

[[noreturn]] void fail_part(std::string_view text, std::string_view part, std::string_view why) {
  fail_usage("--inject {}: '{}' {}; {}", text, part, why, kGrammar);
}

std::int64_t value_of(std::string_view text, std::string_view part, std::int64_t greatest) {
  const auto value = parse_count(part.substr(part.find('=') + 1));
  if (!value || *value > greatest) {
    fail_part(text, part, fmt::format("has no whole number from 0 to {}", greatest));
  }
  return *value;
}

Kind parse_kind(std::string_view text, std::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (name == known) {
      return kind;
    }
  }
  fail_part(text, name, "is no kind of failure");
}

}  // namespace

Fault parse_fault(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    fail_usage("--inject {}: no ':' found; {}", text, kGrammar);
  }
  Fault fault{.kind = parse_kind(text, text.substr(0, colon))};
  bool has_target = false;
  bool has_step = false;
  bool has_code = false;
  const auto once = [&](bool& seen, std::string_view part) {
    if (std::exchange(seen, true)) {
      fail_part(text, part, "comes twice");
    }
  };
  for (std::string_view rest = text.substr(colon); !rest.empty();) {
    rest.remove_prefix(1);  // ':' or ','
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(part.size());
    if (part == "coordinator") {
      once(has_target, part);
    } else if (part.starts_with("rank=")) {
      once(has_target, part);
      fault.rank = static_cast<int>(value_of(text, part, 1'000'000));
    } else if (part.starts_with("step=")) {
      once(has_step, part);
      fault.step = value_of(text, part, INT64_MAX);
    } else if (part.starts_with("code=") && fault.kind == Kind::exit) {
      once(has_code, part);
      fault.exit_code = static_cast<int>(value_of(text, part, 255));
    } else {
      fail_part(text, part, "is not understood");
    }
  }
  if (!has_target || !has_step) {
    fail_usage("--inject {}: no {} given; {}", text, has_target ? "step=S" : "target", kGrammar);
  }
  return fault;
}

std::string to_string(const Fault& fault) {
  const std::string target =
      fault.rank == Fault::kCoordinator ? std::string("coordinator") : fmt::format("rank={}", fault.rank);
  const std::string code = fault.kind == Kind::exit ? fmt::format(",code={}", fault.exit_code) : std::string();
  return fmt::format("{}:{},step={}{}", kind_name(fault.kind), target, fault.step, code);
}

void check_fault(const Fault& fault, int world_size) {
  const std::string text = to_string(fault);
  require_usage(fault.kind != Kind::cut, "--inject {}: {} is not built yet; kill, segv, stop, exit and disk_full are",
                text, kind_name(fault.kind));
  require_usage(
      fault.rank != Fault::kCoordinator,
      "--inject {}: a job on one host has no coordinator process, and several hosts are not built yet; give a "
      "target rank=N",
      text);
  require_usage(fault.rank < world_size, "--inject {}: there is no rank {}; the ranks of this job are 0 to {}", text,
                fault.rank, world_size - 1);
}

int signal_of(const Fault& fault) {
  switch (fault.kind) {
    case Kind::kill:
      return SIGKILL;
    case Kind::segv:
      return SIGSEGV;
    case Kind::stop:
      return SIGSTOP;
    default:
      return 0;
  }
}

}  // namespace trireme::cluster
