#include "trireme/checkpoint/background.h"

#include <exception>
#include <utility>

namespace trireme::checkpoint {

Background::Background(bool with_thread) {
  if (with_thread) {
    thread_ = std::thread([this] { loop(); });
  }
}

Background::~Background() {
  if (thread_.joinable()) {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
}

void Background::start(std::function<void()> task) {
  if (!thread_.joinable()) {
    run(task);
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    task_ = std::move(task);
  }
  changed_.notify_all();
}

bool Background::busy() {
  const std::scoped_lock lock(mutex_);
  return static_cast<bool>(task_);
}

void Background::wait_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !task_; });
}

std::optional<std::string> Background::take_failure() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(failure_, std::nullopt);
}

void Background::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || task_; });
    if (!task_) {
      return;
    }
    lock.unlock();
    run(task_);
    lock.lock();
    task_ = nullptr;
    changed_.notify_all();
  }
}

void Background::run(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::exception& error) {
    const std::scoped_lock lock(mutex_);
    failure_ = error.what();
  }
}

}  // namespace trireme::checkpoint
