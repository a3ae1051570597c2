#include "trireme/launcher/run_job.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "trireme/core/base/host.h"
#include "trireme/launcher/attempt.h"
#include "trireme/launcher/failure_report.h"
#include "trireme/launcher/machine.h"

namespace trireme::launcher {
namespace {

constexpr std::chrono::seconds kFlushDeadline(2);

// A closed 0, 1 or 2 would be given to a pipe, and a worker would get that pipe as its stdin.
void open_standard_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  ::close(fd);
}

std::string end_message(const AttemptOutcome& outcome, Verdict verdict, const ReportContext& context) {
  switch (verdict) {
    case Verdict::done:
      return {};
    case Verdict::requeue:
      return "trireme run: the ranks have saved and want to be started again (exit code 75)\n";
    default: {
      const bool after_progress_bar = ::isatty(STDERR_FILENO) != 0;  // which leaves the cursor in mid-line
      return fmt::format("{}{}", after_progress_bar ? "\n" : "", failure_report(outcome, verdict, context));
    }
  }
}

int repeat_attempts(JobContext& job) {
  ReportContext context{.host = host_name(), .restarts = 0, .max_restarts = job.options.max_restarts};
  for (;; ++context.restarts) {
    const int fixed_port = job.options.master_port;
    const AttemptSettings settings{.attempt = context.restarts,
                                   .master_port = fixed_port != 0 ? fixed_port : free_loopback_port(),
                                   .token = random_token()};
    const AttemptOutcome outcome = Attempt(job, settings).run();
    const Verdict verdict = judge(outcome, context.restarts, context.max_restarts);
    job.err.write(end_message(outcome, verdict, context));
    if (verdict != Verdict::restart) {
      return exit_code(verdict, outcome);
    }
  }
}

}  // namespace

int run_job(const std::vector<std::string>& arguments) {
  const RunOptions options = parse_run_options(arguments);
  if (!options.help.empty()) {
    fmt::print("{}", options.help);
    return 0;
  }
  const Program program = find_program(options.command, options.as_module);
  open_standard_streams();
  SignalGate signals;
  EventLoop loop;
  Console out(STDOUT_FILENO, loop);
  Console err(STDERR_FILENO, loop);
  Keeper keeper;
  keeper.start();
  cluster::MemoryPressureWatch memory;
  FaultPlan faults(options.faults);
  JobContext job{options, program, loop, out, err, signals, keeper, memory, faults};
  const int code = repeat_attempts(job);
  for (const std::string& fault : faults.left()) {
    err.write(fmt::format("trireme run: {} never struck: that rank reported no such step\n", fault));
  }
  out.flush(Clock::now() + kFlushDeadline);
  err.flush(Clock::now() + kFlushDeadline);
  return code;
}

}  // namespace trireme::launcher
