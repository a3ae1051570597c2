#include "trireme/launcher/attempt.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "trireme/cluster/worker_status.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/leftovers.h"

namespace trireme::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFailureGrace(300);  // for survivors to report their own CommError
constexpr seconds kStopGrace(10);           // for the others, once a rank has failed while stopping
constexpr seconds kDeathDeadline(30);       // from SIGKILL to the end; longer: stuck in the kernel
constexpr milliseconds kSweepDeadline(1000);

}  // namespace

Attempt::Attempt(JobContext job, const AttemptSettings& settings)
    : job_(job),
      settings_(settings),
      freezes_(process_count(job.options)),
      look_at_(Clock::now() + FreezeWatch::kInterval) {
  job_.keeper.set_token(settings_.token);
}

Attempt::~Attempt() {
  for (const auto& worker : workers_) {
    job_.loop.forget(worker->pidfd());
    job_.loop.forget(worker->status_fd());
  }
  job_.loop.forget(job_.signals.fd());
  job_.loop.forget(job_.keeper.pidfd());
  workers_.clear();
  kill_processes_of(settings_.token, Clock::now() + kSweepDeadline);
}

AttemptOutcome Attempt::run() {
  job_.loop.watch(job_.signals.fd(), [this] {
    while (const auto signal = job_.signals.next()) {
      on_signal(*signal);
    }
  });
  watch_keeper();
  for (int process = 0; process < process_count(job_.options); ++process) {
    start(process);
  }
  while (!all_ended()) {
    ++wakeups_;
    job_.loop.run_once(std::min({kill_at_, give_up_at_, look_at_}));
    after_events();
  }
  AttemptOutcome outcome;
  outcome.stop_signal = stop_signal_;
  for (const auto& worker : workers_) {
    outcome.ranks.push_back(worker->outcome());
  }
  return outcome;
}

void Attempt::start(int process) {
  workers_.push_back(std::make_unique<Worker>(WorkerRequest{.options = job_.options,
                                                            .settings = settings_,
                                                            .program = job_.program,
                                                            .loop = job_.loop,
                                                            .out = job_.out,
                                                            .err = job_.err,
                                                            .process = process,
                                                            .inject = job_.faults.of_rank(process)}));
  Worker& worker = *workers_.back();
  job_.keeper.add_group(worker.pid());
  job_.loop.watch(worker.pidfd(), [this, &worker] { on_end(worker); });
  job_.loop.watch(worker.status_fd(), [this, &worker] {
    if (!on_reports(worker)) {
      job_.loop.forget(worker.status_fd());  // the worker has closed its end
    }
  });
}

void Attempt::watch_keeper() {
  const int died = job_.keeper.pidfd();
  job_.loop.watch(died, [this, died] {
    job_.loop.forget(died);
    job_.keeper.start();
    watch_keeper();
  });
}

bool Attempt::on_reports(Worker& worker) {
  using Kind = cluster::WorkerReport::Kind;
  std::string line;
  bool any = false;
  while (!(line = worker.next_report()).empty()) {
    any = true;
    const cluster::WorkerReport report = cluster::parse_worker_report(line);
    if (report.kind == Kind::step) {
      on_step(worker, report.step);
    } else if (report.kind != Kind::unknown) {
      worker.outcome().error = report.text;
      worker.outcome().because_of_peer = report.kind == Kind::peer_error;
    }
  }
  return any;
}

void Attempt::on_step(Worker& worker, std::int64_t step) {
  worker.outcome().last_step = step;
  ++worker.outcome().steps_begun;
  const auto fault = job_.faults.take(worker.process(), step);
  if (!fault) {
    worker.answer("go");  // who rehearses nothing never reads it
    return;
  }
  job_.err.write(fmt::format("trireme run: rehearsing {}\n", cluster::to_string(*fault)));
  if (const int signal = cluster::signal_of(*fault); signal != 0) {
    worker.signal_process(signal);
    worker.answer("go");  // for a stopped process that is continued some day
  } else if (fault->kind == cluster::Fault::Kind::disk_full) {
    worker.answer("disk_full");
  } else {
    worker.answer(fmt::format("exit {}", fault->exit_code));
  }
}

void Attempt::on_end(Worker& worker) {
  on_reports(worker);  // its last words may still wait
  worker.collect();
  job_.loop.forget(worker.pidfd());
  job_.loop.forget(worker.status_fd());
  job_.keeper.remove_group(worker.pid());
  RankOutcome& outcome = worker.outcome();
  outcome.order = wakeups_;
  outcome.ended_by_us =
      failing_ && !outcome.counted_as_dead && (outcome.end.signal == SIGTERM || outcome.end.signal == SIGKILL);
  if (outcome.end.signal == SIGKILL && !outcome.ended_by_us) {
    outcome.memory = job_.memory.evidence(worker.pid());
  }
}

void Attempt::on_signal(int signal) {
  if (signal == SIGTSTP) {
    suspend();
    return;
  }
  if (signal == SIGUSR1 || signal == SIGUSR2) {
    signal_all(signal);
    return;
  }
  if (stop_signal_ != 0 && signal == SIGINT) {  // the second Ctrl-C
    kill_all();
    return;
  }
  if (stop_signal_ == 0) {
    stop_signal_ = signal;
    kill_at_ = std::min(kill_at_, Clock::now() + job_.options.stop_timeout);
  }
  signal_all(signal);
}

// Ctrl-Z: the workers pause with the launcher.
void Attempt::suspend() {
  signal_all(SIGSTOP);
  ::raise(SIGSTOP);
  signal_all(SIGCONT);
}

void Attempt::after_events() {
  const bool failed = std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return !worker->running() && worker->outcome().end.failed();
  });
  if (failed && stop_signal_ != 0) {
    kill_at_ = std::min(kill_at_, Clock::now() + kStopGrace);
  } else if (failed && !failing_) {
    begin_failure();
  }
  look_for_frozen_ranks();
  if (Clock::now() >= kill_at_) {
    kill_all();
  }
  if (Clock::now() >= give_up_at_ && !all_ended()) {
    fail("trireme run: a process does not end {} s after SIGKILL; it hangs in the kernel (a dead network file system?)",
         kDeathDeadline.count());
  }
}

void Attempt::look_for_frozen_ranks() {
  if (Clock::now() < look_at_) {
    return;
  }
  look_at_ = Clock::now() + FreezeWatch::kInterval;
  std::vector<bool> frozen;
  std::vector<bool> running;
  for (const auto& worker : workers_) {
    frozen.push_back(worker->is_frozen());
    running.push_back(worker->running());
  }
  for (const int rank : freezes_.look(Clock::now(), frozen, running)) {
    workers_[static_cast<std::size_t>(rank)]->outcome().counted_as_dead = true;
    workers_[static_cast<std::size_t>(rank)]->signal_group(SIGKILL);
  }
}

void Attempt::begin_failure() {
  failing_ = true;
  for (const auto& worker : workers_) {
    worker->outcome().was_frozen = worker->is_frozen();
  }
  signal_all(SIGTERM);
  kill_at_ = std::min(kill_at_, Clock::now() + kFailureGrace);
}

void Attempt::kill_all() {
  signal_all(SIGKILL);
  kill_at_ = Clock::time_point::max();
  give_up_at_ = std::min(give_up_at_, Clock::now() + kDeathDeadline);
}

bool Attempt::all_ended() const {
  return std::none_of(workers_.begin(), workers_.end(), [](const auto& worker) { return worker->running(); });
}

void Attempt::signal_all(int signal) {
  for (const auto& worker : workers_) {
    worker->signal_group(signal);
  }
}

}  // namespace trireme::launcher
