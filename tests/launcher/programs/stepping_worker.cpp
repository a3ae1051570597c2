// A worker without training: it reports steps, and ends as its arguments say. Words of the form name=value:
//   steps=N      so many steps, 0 the first (default 5)      first=N   the first step (a resumed program)
//   ms=N         a step's duration (default 1)               rank=N    only this rank does what follows
//   fail=STEP    report an error and exit with `code` (default 1) as this step begins
//   peer=STEP    report that a peer is the cause, and exit with 1
//   term=save    SIGTERM ends it with 75 after its step; term=ignore: SIGTERM does nothing
// Prints one line a step.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "trireme/cluster/worker_status.h"

namespace {

volatile std::sig_atomic_t stop_asked = 0;

std::map<std::string, std::string> parse(int argc, char** argv) {
  std::map<std::string, std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    words[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  return words;
}

int run(std::map<std::string, std::string> words) {
  const auto number = [&](const char* name, int otherwise) {
    return words.contains(name) ? std::atoi(words[name].c_str()) : otherwise;
  };
  const char* rank_text = std::getenv("RANK");
  const int rank = rank_text == nullptr ? 0 : std::atoi(rank_text);
  const bool acts = number("rank", rank) == rank;
  auto status = trireme::cluster::WorkerStatus::from_environment();
  for (int step = number("first", 0); step < number("steps", 5); ++step) {
    status.report_step(step);
    std::printf("step %d of attempt %d\n", step, trireme::cluster::restart_count_from_environment());
    std::fflush(stdout);
    if (acts && step == number("fail", -1)) {
      status.report_error("the worker's own error", false);
      return number("code", 1);
    }
    if (acts && step == number("peer", -1)) {
      status.report_error("a peer is gone", true);
      return 1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(number("ms", 1)));
    if (stop_asked != 0) {
      return 75;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto words = parse(argc, argv);
  if (words["term"] == "save") {
    std::signal(SIGTERM, [](int) { stop_asked = 1; });
  } else if (words["term"] == "ignore") {
    std::signal(SIGTERM, SIG_IGN);
  }
  return run(words);
}
