#include "trireme/launcher/output_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::launcher {
namespace {

constexpr std::size_t kTailLines = 5;
constexpr std::size_t kMaxLine = 64 * 1024;

Fd open_log(const std::string& path) {
  if (path.empty()) {
    return Fd();
  }
  Fd log(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  require(static_cast<bool>(log), "trireme run: cannot write the log file {}{}; choose another --log-dir", path,
          errno_text(errno));
  return log;
}

}  // namespace

OutputRelay::OutputRelay(Fd pipe, RelayTarget target, EventLoop& loop)
    : pipe_(std::move(pipe)),
      target_(std::move(target)),
      loop_(loop),
      log_(open_log(target_.log_path)),
      tail_(kTailLines) {
  loop_.watch(
      pipe_.get(),
      [this] { return static_cast<short>(target_.console == nullptr || target_.console->accepts() ? POLLIN : 0); },
      [this] { read_some(); });
}

OutputRelay::~OutputRelay() { close(); }

bool OutputRelay::read_some() {
  char buffer[16 * 1024];
  const ssize_t got = ::read(pipe_.get(), buffer, sizeof buffer);
  if (got > 0) {
    take({buffer, static_cast<std::size_t>(got)});
    return true;
  }
  if (got == 0) {
    close();
  }
  return got < 0 && errno == EINTR;
}

void OutputRelay::take(std::string_view text) {
  log(text);
  tail_.append(text);
  if (target_.console == nullptr) {
    return;
  }
  if (target_.prefix.empty()) {
    target_.console->write(text);
    return;
  }
  line_.append(text);
  show_whole_lines();
}

void OutputRelay::show_whole_lines() {
  std::string shown;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = line_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    shown.append(target_.prefix).append(line_, begin, end + 1 - begin);
  }
  line_.erase(0, begin);
  if (line_.size() > kMaxLine) {
    shown.append(target_.prefix).append(line_).append("\n");
    line_.clear();
  }
  if (!shown.empty()) {
    target_.console->write(shown);
  }
}

void OutputRelay::log(std::string_view text) {
  while (log_ && !text.empty()) {
    const ssize_t wrote = ::write(log_.get(), text.data(), text.size());
    if (wrote < 0 && errno != EINTR) {
      log::warning("trireme run: cannot go on writing {}{}; the rest of this output is not logged", target_.log_path,
                   errno_text(errno));
      log_.reset();
      return;
    }
    text.remove_prefix(wrote < 0 ? 0 : static_cast<std::size_t>(wrote));
  }
}

void OutputRelay::finish() {
  // A pipe holds 64 KiB (at most 1 MiB); the bound keeps a grandchild that writes without end from holding us here.
  for (int reads = 0; reads < 128 && pipe_ && read_some(); ++reads) {
  }
  close();
}

void OutputRelay::close() {
  if (!pipe_) {
    return;
  }
  loop_.forget(pipe_.get());
  pipe_.reset();
  if (!line_.empty()) {
    line_.push_back('\n');
    show_whole_lines();
  }
}

}  // namespace trireme::launcher
