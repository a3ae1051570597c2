#include "tests/support/processes.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "tests/support/temp_dir.h"

namespace trireme::test {
namespace {

constexpr auto kDeadline = std::chrono::seconds(60);

struct Child {
  pid_t pid = -1;
  int pipe = -1;  // what the process has to say; ends when it ends
  std::string said;
};

void say(int pipe, const std::string& text) {
  if (write(pipe, text.data(), text.size()) < 0) {
    std::perror("write");
  }
}

// Runs in the child, and never returns to the test.
[[noreturn]] void run_child(const ProcessBody& body, int index, const std::string& directory, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    body(index, directory);
  } catch (const std::exception& error) {
    say(pipe, error.what());
  }
  if (testing::Test::HasFailure()) {
    say(pipe, " (failed expectations: see above)");
  }
  std::fflush(nullptr);
  _exit(0);
}

Child fork_process(const ProcessBody& body, int index, const std::string& directory) {
  int ends[2];
  if (pipe(ends) != 0) {
    throw std::runtime_error("pipe failed");
  }
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run_child(body, index, directory, ends[1]);
  }
  close(ends[1]);
  return {pid, ends[0], {}};
}

// Reads until the process ends or the deadline passes; true in the first case.
bool listen_to(Child& child, std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{child.pipe, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) == 0) {
      return false;
    }
    char chunk[1024];
    const ssize_t got = read(child.pipe, chunk, sizeof chunk);
    if (got <= 0) {
      return true;
    }
    child.said.append(chunk, static_cast<std::size_t>(got));
  }
}

void judge(const std::string& name, const Child& child, int status, bool ended, bool shall_be_killed) {
  EXPECT_TRUE(ended) << name << " did not end within a minute and was killed";
  EXPECT_EQ(child.said, "") << "on " << name;
  if (shall_be_killed) {
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << name << " should have been killed";
  } else if (ended) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << name << " ended with status " << status;
  }
}

}  // namespace

void run_forked(int count, const ProcessBody& body, const ProcessOptions& options, const std::string& word) {
  const TempDir directory;
  std::fflush(nullptr);  // else each child would print it again
  std::vector<Child> children;
  for (int index = 0; index < count; ++index) {
    children.push_back(fork_process(body, index, directory.path().string()));
  }
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  const auto end = [&](int index) {
    Child& child = children[static_cast<std::size_t>(index)];
    const bool stopped = index == options.stopped;
    const bool ended = !stopped && listen_to(child, deadline);
    if (!ended) {
      kill(child.pid, SIGKILL);
    }
    int status = 0;
    waitpid(child.pid, &status, 0);
    close(child.pipe);
    judge(word + " " + std::to_string(index), child, status, ended || stopped, index == options.killed || stopped);
  };
  for (int index = 0; index < count; ++index) {
    if (index != options.stopped) {
      end(index);
    }
  }
  if (options.stopped >= 0) {
    end(options.stopped);
  }
}

}  // namespace trireme::test
