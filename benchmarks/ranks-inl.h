// Ranks of benchmarks that no launcher starts: forked processes that meet in a directory of their own.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace trireme::bench {

inline const std::vector<std::string> kArraySizes = {"1K", "4K", "16K", "64K", "256K", "1M", "4M", "16M", "64M"};

// Runs body(rank, directory), which returns an exit code, in `ranks` processes; the directory is empty at first and
// removed in the end. Returns the program's exit code: 0 if all of theirs are.
template <class Body>
int fork_ranks(const std::string& program, int ranks, const Body& body) {
  std::string directory = (std::filesystem::temp_directory_path() / (program + "_XXXXXX")).string();
  if (mkdtemp(directory.data()) == nullptr) {
    std::perror(program.c_str());
    return 1;
  }
  const auto run_rank = [&](int rank) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      const int code = body(rank, directory);
      std::fflush(stdout);
      return code;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
      return 1;
    }
  };
  std::vector<pid_t> children;
  for (int rank = 0; rank < ranks; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) {
      _exit(run_rank(rank));
    }
    children.push_back(pid);
  }
  bool good = true;
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    good = good && status == 0;
  }
  std::filesystem::remove_all(directory);
  return good ? 0 : 1;
}

}  // namespace trireme::bench
