#include "tests/programs/served_job.h"

#include "tests/programs/free_port.h"

namespace trireme::test {

std::vector<std::string> served(int servers, int workers, std::vector<std::string> words,
                                const std::vector<std::string>& more) {
  words[0] = std::string(TRIREME_BIN_DIR) + "/" + words[0];
  const std::vector<std::string> launcher = {
      "trireme", "run", "--servers", std::to_string(servers), "--nproc-per-node", std::to_string(workers)};
  return with(with(launcher, more), with({"--"}, words));
}

ServedJob::ServedJob(int servers, int workers)
    : common_{{"TRIREME_SERVERS", std::to_string(servers)},
              {"TRIREME_WORKERS", std::to_string(workers)},
              {"MASTER_ADDR", "127.0.0.1"},
              {"MASTER_PORT", std::to_string(free_port())},
              {"TRIREME_JOB_TOKEN", "of this job"}},
      workers_(static_cast<std::size_t>(workers)),
      servers_(static_cast<std::size_t>(servers)) {}

void ServedJob::start_worker(int rank, const std::vector<std::string>& words,
                             const std::map<std::string, std::string>& own) {
  std::map<std::string, std::string> environment = own;
  const std::string size = std::to_string(workers_.size());
  environment.insert({{"RANK", std::to_string(rank)},
                      {"LOCAL_RANK", std::to_string(rank)},
                      {"WORLD_SIZE", size},
                      {"LOCAL_WORLD_SIZE", size}});
  environment.insert(common_.begin(), common_.end());
  workers_.at(static_cast<std::size_t>(rank)) = std::make_unique<Process>(words, environment);
}

void ServedJob::start_server(int index, const std::vector<std::string>& words,
                             const std::map<std::string, std::string>& own) {
  std::map<std::string, std::string> environment = own;
  environment.insert({{"ROLE_NAME", "server"}, {"ROLE_RANK", std::to_string(index)}});
  environment.insert(common_.begin(), common_.end());
  servers_.at(static_cast<std::size_t>(index)) = std::make_unique<Process>(words, environment);
}

void ServedJob::start_all(const std::vector<std::string>& words) {
  for (std::size_t index = 0; index < servers_.size(); ++index) {
    start_server(static_cast<int>(index), words);
  }
  for (std::size_t rank = 0; rank < workers_.size(); ++rank) {
    start_worker(static_cast<int>(rank), words);
  }
}

}  // namespace trireme::test
