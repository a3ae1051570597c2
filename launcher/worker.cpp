#include "trireme/launcher/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "trireme/cluster/text_file.h"
#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

int index_of(const WorkerRequest& request) {
  return is_server(request.options, request.process) ? request.process - request.options.ranks : request.process;
}

std::string log_path(const WorkerRequest& request, Stream stream) {
  const std::filesystem::path folder =
      std::filesystem::path(request.options.log_dir) / fmt::format("attempt_{}", request.settings.attempt) /
      fmt::format("{}{}", is_server(request.options, request.process) ? "server_" : "", index_of(request));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, "trireme run: cannot make the log folder {}: {}; choose another --log-dir", folder.string(),
          error.message());
  return (folder / (stream == kStdout ? "stdout.log" : "stderr.log")).string();
}

// Rank 0 may read what is piped into the launcher; the terminal itself belongs to the foreground process group, where
// a worker is not.
bool reads_our_input(int process) { return process == 0 && ::isatty(STDIN_FILENO) == 0; }

}  // namespace

Worker::Worker(const WorkerRequest& request) {
  outcome_.process = request.process;
  outcome_.server = is_server(request.options, request.process);
  outcome_.index = index_of(request);
  Fd out;
  Fd err;
  out_ = relay_for(request, kStdout, out);
  err_ = relay_for(request, kStderr, err);
  FdPair status = make_message_socket();
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  SpawnRequest spawning;
  spawning.executable = request.program.executable;
  spawning.arguments = request.program.arguments;
  spawning.environment = worker_environment(own_environment(), request.options, request.settings, request.process,
                                            status.theirs.get(), request.inject);
  spawning.stdin_fd = reads_our_input(request.process) ? STDIN_FILENO : nothing.get();
  spawning.stdout_fd = out ? out.get() : STDOUT_FILENO;
  spawning.stderr_fd = err ? err.get() : STDERR_FILENO;
  spawning.inherited_fd = status.theirs.get();
  child_ = spawn(spawning);
  status_ = std::move(status.ours);
  outcome_.pid = child_.pid;
  outcome_.log_path = err_ ? err_->log_path() : std::string();
  running_ = true;
}

Worker::~Worker() {
  if (running_) {
    signal_group(SIGKILL);
    pollfd ended{child_.pidfd.get(), POLLIN, 0};
    constexpr int kPatienceMs = 1000;  // a process that hangs in the kernel must not hold the launcher
    ::poll(&ended, 1, kPatienceMs);
    ::waitpid(child_.pid, nullptr, WNOHANG);
  }
}

std::unique_ptr<OutputRelay> Worker::relay_for(const WorkerRequest& request, Stream stream, Fd& worker_end) {
  const StreamPlan plan = plan_stream(request.options, request.process, stream);
  if (plan.inherited) {
    return nullptr;
  }
  RelayTarget target;
  target.console = plan.shown ? &(stream == kStdout ? request.out : request.err) : nullptr;
  target.prefix = plan.prefixed ? fmt::format("[{}] ", name_of(outcome_)) : std::string();
  target.log_path = plan.logged ? log_path(request, stream) : std::string();
  FdPair pipe = make_pipe();
  worker_end = std::move(pipe.theirs);
  return std::make_unique<OutputRelay>(std::move(pipe.ours), std::move(target), request.loop);
}

void Worker::signal_group(int signal) const {
  if (running_) {
    ::kill(-child_.pid, signal);
  }
}

void Worker::signal_process(int signal) const {
  if (running_) {
    ::kill(child_.pid, signal);
  }
}

bool Worker::is_frozen() const {
  const std::string stat = cluster::read_text_file(fmt::format("/proc/{}/stat", child_.pid)).value_or("");
  const std::size_t name_end = stat.rfind(')');
  return running_ && name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] == 'T';
}

void Worker::answer(const std::string& text) const {
  [[maybe_unused]] const ssize_t ignored = ::send(status_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::string Worker::next_report() const {
  char buffer[2048];
  const ssize_t got = ::recv(status_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  return {buffer, static_cast<std::size_t>(got > 0 ? got : 0)};
}

void Worker::collect() {
  // The dead leader is collected last: until then its number cannot be given to another group.
  signal_group(SIGKILL);
  int status = 0;
  while (::waitpid(child_.pid, &status, 0) < 0 && errno == EINTR) {
  }
  running_ = false;
  outcome_.end = cluster::process_end_from_wait_status(status);
  for (OutputRelay* relay : {out_.get(), err_.get()}) {
    if (relay != nullptr) {
      relay->finish();
    }
  }
  outcome_.last_lines = err_ ? err_->last_lines() : std::vector<std::string>();
}

}  // namespace trireme::launcher
