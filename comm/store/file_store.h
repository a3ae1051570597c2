// A store in a directory that all ranks can reach: one file a key, written aside and renamed, so a reader never sees
// half a value. Changes that depend on the present value hold a lock file.
#pragma once

#include <filesystem>

#include "trireme/comm/store/store.h"

namespace trireme::comm {

class FileStore final : public Store {
 public:
  // Makes the directory if it is not there (mode 0700). Its owner removes it; a fresh run needs a fresh directory.
  explicit FileStore(std::filesystem::path directory);

  void set(std::string_view key, std::string_view value) override;
  std::optional<std::string> try_get(std::string_view key) override;
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override;
  std::int64_t add(std::string_view key, std::int64_t delta) override;
  bool compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                       std::string_view value) override;
  void erase(std::string_view key) override;

 private:
  class Lock;
  std::filesystem::path file_of(std::string_view key) const;
  void write(std::string_view key, std::string_view value);

  std::filesystem::path directory_;
};

}  // namespace trireme::comm
