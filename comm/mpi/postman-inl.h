// The one thread of this process that reads the letters of all its links. It polls, as MPI can do no better: at once
// after a letter, then more and more rarely, a thousand times a second at last. Part of the sources of comm/mpi.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/comm/mpi/letters-inl.h"

namespace trireme::comm {

class Postman {
 public:
  // The thread lives while there is something to read.
  static Postman& of_this_process();
  Postman(const Postman&) = delete;
  Postman& operator=(const Postman&) = delete;

  void open(MpiLetters& letters, LetterReader& reader);
  // When it returns, no reader of these letters is being called.
  void close(MpiLetters& letters);

 private:
  Postman() = default;
  void work(const std::stop_token& stop);

  std::mutex mutex_;  // held while letters are read
  std::vector<MpiLetters*> open_;
  std::mutex thread_mutex_;  // of starting and ending the thread
  std::jthread thread_;
};

}  // namespace trireme::comm
