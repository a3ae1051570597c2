#include "trireme/comm/store/memory_store.h"

namespace trireme::comm {

void MemoryStore::set(std::string_view key, std::string_view value) {
  check_store_entry(key, value);
  const std::lock_guard lock(mutex_);
  values_.insert_or_assign(std::string(key), std::string(value));
  changed_.notify_all();
}

std::optional<std::string> MemoryStore::try_get(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::string MemoryStore::get(std::string_view key, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  auto found = values_.end();
  const bool there = changed_.wait_for(lock, timeout, [&] {
    found = values_.find(key);
    return found != values_.end();
  });
  if (!there) {
    store_timeout(key, timeout, "a store in memory");
  }
  return found->second;
}

std::int64_t MemoryStore::add(std::string_view key, std::int64_t delta) {
  check_store_entry(key, "");
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  const std::int64_t value = (found == values_.end() ? 0 : parse_counter(key, found->second)) + delta;
  values_.insert_or_assign(std::string(key), std::to_string(value));
  changed_.notify_all();
  return value;
}

bool MemoryStore::compare_and_set(std::string_view key, const std::optional<std::string>& expected,
                                  std::string_view value) {
  check_store_entry(key, value);
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  const std::optional<std::string> present = found == values_.end() ? std::nullopt : std::optional(found->second);
  if (present != expected) {
    return false;
  }
  values_.insert_or_assign(std::string(key), std::string(value));
  changed_.notify_all();
  return true;
}

void MemoryStore::erase(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  if (found != values_.end()) {
    values_.erase(found);
  }
}

}  // namespace trireme::comm
