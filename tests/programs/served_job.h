// Jobs of workers and parameter servers, as a user starts them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/programs/samples.h"

namespace trireme::test {

// The words behind `trireme run` with servers. `more`: further options of `trireme run`.
std::vector<std::string> served(int servers, int workers, std::vector<std::string> words,
                                const std::vector<std::string>& more = {});

// Workers and servers that nobody watches over: each is started alone, with the names that `trireme run` would give it.
class ServedJob {
 public:
  ServedJob(int servers, int workers);

  // What is added to the environment of each; before start_*().
  void set(const std::string& name, const std::string& value) { common_[name] = value; }
  void start_worker(int rank, const std::vector<std::string>& words,
                    const std::map<std::string, std::string>& own = {});
  void start_server(int index, const std::vector<std::string>& words,
                    const std::map<std::string, std::string>& own = {});
  void start_all(const std::vector<std::string>& words);

  Process& worker(int rank) { return *workers_.at(static_cast<std::size_t>(rank)); }
  Process& server(int index) { return *servers_.at(static_cast<std::size_t>(index)); }

 private:
  std::map<std::string, std::string> common_;
  std::vector<std::unique_ptr<Process>> workers_;
  std::vector<std::unique_ptr<Process>> servers_;
};

}  // namespace trireme::test
