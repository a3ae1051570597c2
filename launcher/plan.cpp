#include "trireme/launcher/plan.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "trireme/cluster/plan_request.h"
#include "trireme/cluster/process_end.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/command_line-inl.h"
#include "trireme/launcher/plan_table.h"
#include "trireme/launcher/program.h"
#include "trireme/launcher/run_options.h"
#include "trireme/launcher/spawn.h"
#include "trireme/launcher/worker_environment.h"

namespace trireme::launcher {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kUntilHello{10};    // a program that knows the question says so at once
constexpr std::chrono::seconds kUntilAnswer{300};  // data may have to be opened before
constexpr std::chrono::seconds kUntilEnd{10};

constexpr const char* kHelp =
    "Shows what a job will take before it starts: memory of each rank by kind and phase, bytes sent in a step, and "
    "what "
    "to change if it does not fit. Nothing large is allocated, nothing is trained.";
constexpr const char* kExamples = R"(Examples:
  Does GPT-2 124M fit on this machine, four ranks, mirrored? And sharded?
      trireme plan --nproc-per-node 4 -- train_gpt --layers 12 --heads 12 --width 768 --context 1024 --vocab 50257
      trireme plan --nproc-per-node 4 -- train_gpt --layers 12 ... --strategy fully_sharded --zero-stage 3
  Sixteen hosts of eight ranks, compared with the memory of this one:
      trireme plan --nnodes 16 --nproc-per-node 8 -- train_gpt --strategy fully_sharded --shard-group 8 ...
  For scripts:
      trireme plan --json --nproc-per-node 2 -- train_classifier --model resnet | jq .memory.peak_bytes

Exit code: 0 it fits, 1 it does not (or an error), 2 wrong usage. docs/memory.md has the formulas.)";

struct PlanOptions {
  std::string nproc = "1";
  std::string nnodes = "1";
  bool json = false;
  std::vector<std::string> command;
};

int most_nodes(const std::string& text) {
  const std::string most = text.substr(text.find(':') + 1);  // all of it without a colon
  int value = 0;
  const auto [end, error] = std::from_chars(most.data(), most.data() + most.size(), value);
  constexpr int kMost = 100'000;
  require_usage(error == std::errc{} && end == most.data() + most.size() && value >= 1 && value <= kMost,
                "trireme plan: --nnodes {}: a number from 1 to {}, or MIN:MAX is expected", text, kMost);
  return value;
}

// The program's words, ended by EOF or a deadline.
class Answer {
 public:
  explicit Answer(Fd fd) : fd_(std::move(fd)) {}

  // True if `enough(text)` came true before the deadline.
  template <class Enough>
  bool read_until(std::chrono::seconds limit, const Enough& enough) {
    const auto deadline = Clock::now() + limit;
    while (!enough(text_)) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      pollfd waiting{fd_.get(), POLLIN, 0};
      if (ended_ || left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) == 0) {
        return false;
      }
      take();
    }
    return true;
  }
  bool ended() const { return ended_; }
  const std::string& text() const { return text_; }

 private:
  void take() {
    char chunk[4096];
    const ssize_t got = ::read(fd_.get(), chunk, sizeof chunk);
    ended_ = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    text_.append(chunk, static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  }

  Fd fd_;
  std::string text_;
  bool ended_ = false;
};

// Ends the process unless it has ended by the deadline; its exit code, or -1 if a signal ended it.
int end(const Child& child, std::chrono::seconds limit) {
  pollfd waiting{child.pidfd.get(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(limit).count())) != 1) {
    ::kill(-child.pid, SIGKILL);  // it leads a process group of its own
  }
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The plan, or nothing and the program's exit code, if it has said on stderr why there is none.
struct Reply {
  std::string json;
  int code = 0;
};

Reply ask(const Program& program, cluster::PlanRequest request) {
  FdPair pipe = make_pipe();
  request.reply_fd = pipe.theirs.get();
  std::vector<std::string> environment = own_environment();
  std::erase_if(environment, [](const std::string& entry) { return entry.starts_with(cluster::kPlanVariable); });
  environment.push_back(fmt::format("{}={}", cluster::kPlanVariable, request.text()));
  // What it prints goes to stderr: stdout is for the plan.
  const Child child = spawn({.executable = program.executable,
                             .arguments = program.arguments,
                             .environment = std::move(environment),
                             .stdout_fd = 2,
                             .inherited_fd = request.reply_fd});
  pipe.theirs.reset();
  Answer answer(std::move(pipe.ours));
  const std::string hello = cluster::kPlanning;
  const bool understood =
      answer.read_until(kUntilHello, [&](const std::string& text) { return text.starts_with(hello); });
  const bool planned = understood && answer.read_until(kUntilAnswer, [&](const std::string& text) {
    return text.size() > hello.size() && text.ends_with('\n');
  });
  const int code = end(child, planned || answer.ended() ? kUntilEnd : std::chrono::seconds(0));
  if (planned) {
    return {answer.text().substr(hello.size()), 0};
  }
  if (answer.ended() && (code == cluster::kExitUsage || (understood && code > 0))) {
    return {"", code};
  }
  fail_usage(
      "trireme plan: {} {}; only programs built with training::run_program that call session.plan() can be "
      "planned (train_gpt, train_classifier, train_recommender)",
      program.arguments.front(),
      understood ? "did not answer" : "does not know the question: it was ended before it would train");
}

}  // namespace

int run_plan(const std::vector<std::string>& arguments) {
  PlanOptions options;
  CLI::App app(kHelp, "trireme plan");
  app.add_option("--nproc-per-node", options.nproc, "Ranks on each host; auto and cpu: one for each core of this one")
      ->type_name("N|auto")
      ->capture_default_str();
  app.add_option("--nnodes", options.nnodes, "Hosts, N or MIN:MAX (MAX counts), each with this one's memory")
      ->type_name("MIN:MAX")
      ->capture_default_str();
  app.add_flag("--json", options.json, "One JSON object instead of tables");
  app.footer(kExamples);
  app.prefix_command();
  if (const auto help = parse_or_help(app, words_with_dashes(arguments))) {
    fmt::print("{}", *help);
    return cluster::kExitDone;
  }
  options.command = program_words(arguments, app.remaining(), "trireme plan");
  const int per_node = ranks_of_nproc(options.nproc, "trireme plan");
  const Reply reply = ask(find_program(options.command, false), {per_node * most_nodes(options.nnodes), per_node, -1});
  if (reply.json.empty()) {
    return reply.code;
  }
  const PlanText plan = plan_text(reply.json, std::filesystem::path(options.command.front()).filename().string());
  fmt::print("{}", options.json ? reply.json : plan.text);
  return plan.fits ? cluster::kExitDone : cluster::kExitError;
}

}  // namespace trireme::launcher
