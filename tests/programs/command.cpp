#include "tests/programs/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;

namespace trireme::test {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!more.contains(text.substr(0, text.find('=')))) {
      result.push_back(text);
    }
  }
  for (const auto& [name, value] : more) {
    result.push_back(name + "=" + value);
  }
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) {
    result.push_back(word.data());
  }
  result.push_back(nullptr);
  return result;
}

// Reads what is there; closes and forgets the descriptor at its end.
void drain(int& descriptor, std::string& text) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  } else {
    ::close(descriptor);
    descriptor = -1;
  }
}

}  // namespace

Process::Process(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment)
    : start_(Clock::now()) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0) {
    ADD_FAILURE() << "no pipe";
    return;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  std::vector<std::string> arguments = words;
  arguments[0] = std::string(TRIREME_BIN_DIR) + "/" + words[0];
  std::vector<std::string> variables = environment_with(environment);
  const int failed = posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr, pointers(arguments).data(),
                                 pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  out_ = out[0];
  err_ = err[0];
  if (failed != 0) {
    pid_ = -1;
    ADD_FAILURE() << arguments[0] << " cannot be started; build it first";
  }
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const int descriptor : {out_, err_}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

void Process::send(int signal) const {
  if (pid_ > 0) {
    kill(pid_, signal);
  }
}

Outcome Process::wait(std::chrono::seconds limit) {
  Outcome outcome;
  if (pid_ <= 0) {
    return outcome;
  }
  while (out_ >= 0 || err_ >= 0) {
    std::array<pollfd, 2> waiting{{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};
    if (poll(waiting.data(), waiting.size(), 100) > 0) {
      if (waiting[0].revents != 0) {
        drain(out_, outcome.out);
      }
      if (waiting[1].revents != 0) {
        drain(err_, outcome.err);
      }
    }
    if (Clock::now() - start_ > limit) {
      kill(pid_, SIGKILL);
      ADD_FAILURE() << "still running after " << limit.count() << " s; stderr so far: " << outcome.err;
      break;
    }
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Outcome run(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment) {
  return Process(words, environment).wait();
}

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<nlohmann::json> read_metrics(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

std::string hash_of(const std::string& metrics_file) {
  const auto lines = read_metrics(metrics_file);
  if (lines.empty() || !lines.back().contains("params_hash")) {
    ADD_FAILURE() << metrics_file << " does not end with a done line";
    return "";
  }
  return lines.back()["params_hash"];
}

bool wait_for_text(const std::string& path, const std::string& text) {
  for (int i = 0; i < 2000; ++i) {
    if (read_text(path).find(text) != std::string::npos) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace trireme::test
