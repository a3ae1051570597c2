// The class behind connect_mpi_link(). Part of the sources of comm/mpi.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "trireme/comm/message/link.h"
#include "trireme/comm/mpi/job-inl.h"
#include "trireme/comm/mpi/letters-inl.h"

namespace trireme::comm {

class MpiLink final : public Link {
 public:
  // Takes the communicator over. It is never given back to MPI: a message that a peer has sent just before would be
  // taken for one of the next communicator with its number.
  MpiLink(MpiJob& job, MPI_Comm comm);
  ~MpiLink() override;

  std::string_view backend() const override { return "mpi"; }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Ticket send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) override;
  Ticket receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) override;
  bool wait(Ticket ticket, Deadline deadline) override;
  void interrupt() override { interrupted_ = true; }
  void open(LetterReader& reader) override;
  void close() override;
  void post(int peer, std::span<const std::byte> letter) override { letters_->post(peer, letter); }
  std::size_t fast_from() const override;
  bool all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) override;
  std::unique_ptr<Link> split(const std::vector<int>& members, std::uint64_t generation, Deadline deadline) override;

 private:
  struct Transfer {
    MPI_Request request;
    int peer = -1;  // -1: nobody's
    bool receiving = false;
    std::size_t bytes = 0;
  };
  struct Scratch;
  Ticket start(const Transfer& transfer);
  Transfer& transfer(Ticket ticket);
  void check(int code, const char* call, int peer = -1) const;
  void check_alive(int peer, std::uint32_t tag) const;
  void reduce_piece(std::byte* data, std::size_t bytes, std::size_t width, MPI_Datatype type, MPI_Op op,
                    Deadline deadline);
  void end_transfers();

  MpiJob& job_;
  const Mpi& mpi_;
  const MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<int> job_ranks_;  // [rank]: the rank in the job
  std::atomic<bool> interrupted_{false};
  std::unique_ptr<MpiLetters> letters_;

  std::mutex mutex_;                // of the next two; a transfer itself belongs to who waits for it
  std::deque<Transfer> transfers_;  // [ticket]
  std::vector<Ticket> free_;

  std::unique_ptr<Scratch> scratch_;  // of all_reduce
};

}  // namespace trireme::comm
