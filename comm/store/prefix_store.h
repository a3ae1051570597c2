// A part of another store: every key gets a prefix, so that several users of one store do not meet.
#pragma once

#include "trireme/comm/store/store.h"

namespace trireme::comm {

// `store` must outlive it.
class PrefixStore final : public Store {
 public:
  PrefixStore(Store& store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  void set(std::string_view key, std::string_view value) override { store_.set(full(key), value); }
  std::optional<std::string> try_get(std::string_view key) override { return store_.try_get(full(key)); }
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override {
    return store_.get(full(key), timeout);
  }
  std::int64_t add(std::string_view key, std::int64_t delta) override { return store_.add(full(key), delta); }
  bool compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                       std::string_view value) override {
    return store_.compare_and_set(full(key), expected, value);
  }
  void erase(std::string_view key) override { store_.erase(full(key)); }

 private:
  std::string full(std::string_view key) const { return prefix_ + "/" + std::string(key); }

  Store& store_;
  const std::string prefix_;
};

}  // namespace trireme::comm
