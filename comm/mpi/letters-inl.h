// The letters of one link (comm/message/link.h): short messages that nobody waits for. They travel as messages of MPI
// with a tag of their own. Part of the sources of comm/mpi.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "trireme/comm/message/link.h"
#include "trireme/comm/mpi/job-inl.h"

namespace trireme::comm {

class MpiLetters {
 public:
  // `job_ranks`: [rank of the link] its rank in the job.
  MpiLetters(MpiJob& job, MPI_Comm comm, const std::vector<int>& job_ranks);
  // Waits a moment for letters that are not on their way yet.
  ~MpiLetters();
  MpiLetters(const MpiLetters&) = delete;
  MpiLetters& operator=(const MpiLetters&) = delete;

  void post(int peer, std::span<const std::byte> letter);  // any thread

  // These by the postman's thread, or before and after it: reading begins, goes on, and ends.
  void start_reading(LetterReader& reader);
  // Reads what has come; true if there was anything. Tells the reader of peers that have died.
  bool read();
  void stop_reading();

 private:
  struct Envelope {  // one letter on its way out
    MPI_Request request;
    std::array<std::byte, Link::kMaxLetterBytes> bytes;
  };
  void start_receive();
  bool read_one();
  void report_dead();
  void report_all_lost(const std::string& why);
  void lost(int peer, const std::string& why);
  bool all_sent();

  MpiJob& job_;
  const Mpi& mpi_;
  const MPI_Comm comm_;
  const std::vector<int> job_ranks_;

  LetterReader* reader_ = nullptr;
  MPI_Request incoming_;
  std::unique_ptr<std::array<std::byte, Link::kMaxLetterBytes>> in_;
  std::vector<char> lost_;       // [rank]: the reader knows
  std::vector<int> last_looks_;  // [rank]: reads without a letter since its process has ended

  std::mutex mutex_;  // of what goes out
  std::vector<std::unique_ptr<Envelope>> on_the_way_;
  std::vector<std::unique_ptr<Envelope>> unused_;
};

}  // namespace trireme::comm
