// Background: one thread that runs one task at a time and keeps the reason if it fails. Internal to checkpoint/.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace trireme::checkpoint {

class Background {
 public:
  // Without a thread, start() runs the task before it returns.
  explicit Background(bool with_thread);
  // Finishes the running task.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Hands over a task. REQUIRES: nothing is running (wait_idle).
  void start(std::function<void()> task);
  bool busy();
  void wait_idle();
  // The text of the last task's exception, once.
  std::optional<std::string> take_failure();

 private:
  void loop();
  void run(const std::function<void()>& task);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;  // empty: idle
  std::optional<std::string> failure_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace trireme::checkpoint
