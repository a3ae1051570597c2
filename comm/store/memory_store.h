// A store for the threads of one process.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "trireme/comm/store/store.h"

namespace trireme::comm {

class MemoryStore final : public Store {
 public:
  void set(std::string_view key, std::string_view value) override;
  std::optional<std::string> try_get(std::string_view key) override;
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override;
  std::int64_t add(std::string_view key, std::int64_t delta) override;
  bool compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                       std::string_view value) override;
  void erase(std::string_view key) override;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace trireme::comm
