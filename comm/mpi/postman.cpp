#include <signal.h>

#include <algorithm>

#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/comm/mpi/postman-inl.h"

namespace trireme::comm {

Postman& Postman::of_this_process() {
  static auto* const postman = new Postman;  // never deleted: links may outlive static objects
  return *postman;
}

void Postman::open(MpiLetters& letters, LetterReader& reader) {
  const std::lock_guard thread_lock(thread_mutex_);
  {
    const std::lock_guard lock(mutex_);
    letters.start_reading(reader);
    open_.push_back(&letters);
  }
  if (!thread_.joinable()) {
    sigset_t all;  // signals are for the program's own threads
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

void Postman::close(MpiLetters& letters) {
  const std::lock_guard thread_lock(thread_mutex_);
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    open_.erase(std::find(open_.begin(), open_.end(), &letters));
    letters.stop_reading();
    last = open_.empty();
  }
  if (last) {
    thread_ = {};  // stops and joins
  }
}

void Postman::work(const std::stop_token& stop) {
  Patience patience;
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex_);
      for (MpiLetters* letters : open_) {
        if (letters->read()) {
          patience.renew();
        }
      }
    }
    patience.pause(Patience::Clock::time_point::max());
  }
}

}  // namespace trireme::comm
