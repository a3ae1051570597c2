#include "trireme/comm/mpi/mpi_link.h"

#include "trireme/comm/mpi/meeting-inl.h"
#include "trireme/comm/mpi/mpi_link-inl.h"
#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/comm/mpi/postman-inl.h"
#include "trireme/comm/mpi/scratch-inl.h"
#include "trireme/comm/operation_text.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

constexpr int kFirstMeetingTag = Link::kTags + 1;  // above transfers and letters
constexpr int kMeetingTags = 1 << 20;

}  // namespace

std::unique_ptr<Link> connect_mpi_link(const MpiOptions& options) {
  MpiJob& job = MpiJob::join(options);
  return std::make_unique<MpiLink>(job, job.connect(options.timeout));
}

MpiLink::MpiLink(MpiJob& job, MPI_Comm comm) : job_(job), mpi_(job.mpi()), comm_(comm) {
  check(mpi_.comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check(mpi_.comm_size(comm_, &size_), "MPI_Comm_size");
  job_ranks_.resize(static_cast<std::size_t>(size_));
  const int own = job_.rank();
  check(mpi_.all_gather(&own, sizeof own, mpi_.byte, job_ranks_.data(), sizeof own, mpi_.byte, comm_), "MPI_Allgather");
  letters_ = std::make_unique<MpiLetters>(job_, comm_, job_ranks_);
  job_.link_begins();
}

MpiLink::~MpiLink() {
  end_transfers();
  letters_.reset();
  job_.link_ends();
}

void MpiLink::open(LetterReader& reader) { Postman::of_this_process().open(*letters_, reader); }
void MpiLink::close() { Postman::of_this_process().close(*letters_); }

void MpiLink::check(int code, const char* call, int peer) const {
  if (code != MPI_SUCCESS) {
    throw LinkError(fmt::format("{} failed on rank {}: {}", call, rank_, error_text(mpi_, code)), peer);
  }
}

void MpiLink::check_alive(int peer, std::uint32_t tag) const {
  require(tag < kTags, "backend mpi: tag {} given, less than {} expected", tag, kTags);
  const int in_job = job_ranks_[static_cast<std::size_t>(peer)];
  if (job_.is_known_dead(in_job)) {
    throw LinkError(
        fmt::format("rank {} (pid {}) is dead", peer, job_.processes()[static_cast<std::size_t>(in_job)].pid), peer);
  }
}

Link::Ticket MpiLink::send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) {
  check_alive(peer, tag);
  Transfer transfer{mpi_.no_request, peer, false, bytes.size()};
  check(mpi_.start_send(bytes.data(), static_cast<int>(bytes.size()), mpi_.byte, peer, static_cast<int>(tag), comm_,
                        &transfer.request),
        "MPI_Isend", peer);
  return start(transfer);
}

Link::Ticket MpiLink::receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) {
  check_alive(peer, tag);
  Transfer transfer{mpi_.no_request, peer, true, bytes.size()};
  check(mpi_.start_receive(bytes.data(), static_cast<int>(bytes.size()), mpi_.byte, peer, static_cast<int>(tag), comm_,
                           &transfer.request),
        "MPI_Irecv", peer);
  return start(transfer);
}

Link::Ticket MpiLink::start(const Transfer& transfer) {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    free_.push_back(static_cast<Ticket>(transfers_.size()));
    transfers_.emplace_back();
  }
  const Ticket ticket = free_.back();
  free_.pop_back();
  transfers_[ticket] = transfer;
  return ticket;
}

MpiLink::Transfer& MpiLink::transfer(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  return transfers_[ticket];
}

bool MpiLink::wait(Ticket ticket, Deadline deadline) {
  Transfer& own = transfer(ticket);
  Patience patience;
  while (true) {
    const bool was_dead = job_.is_known_dead(job_ranks_[static_cast<std::size_t>(own.peer)]);
    int done = 0;
    check(mpi_.test(&own.request, &done, MPI_STATUS_IGNORE), own.receiving ? "receiving" : "sending", own.peer);
    if (done != 0) {
      own.peer = -1;
      const std::lock_guard lock(mutex_);
      free_.push_back(ticket);
      return true;
    }
    if (interrupted_ || !patience.pause(deadline)) {
      return false;
    }
    if (was_dead) {  // before the last look
      check_alive(own.peer, 0);
    }
    if (patience.slept()) {
      job_.is_dead(job_ranks_[static_cast<std::size_t>(own.peer)]);
    }
  }
}

std::unique_ptr<Link> MpiLink::split(const std::vector<int>& members, std::uint64_t generation, Deadline deadline) {
  const int tag = kFirstMeetingTag + static_cast<int>(generation % kMeetingTags);
  const std::vector<int> missing = meet(mpi_, comm_, members, rank_, tag, deadline);
  if (!missing.empty()) {
    throw LinkError(fmt::format("split on rank {}: {} did not arrive by the deadline", rank_, describe_ranks(missing)),
                    missing[0]);
  }
  MPI_Group all;
  MPI_Group group;
  MPI_Comm comm = mpi_.no_comm;
  check(mpi_.comm_group(comm_, &all), "MPI_Comm_group");
  check(mpi_.group_incl(all, static_cast<int>(members.size()), members.data(), &group), "MPI_Group_incl");
  check(mpi_.comm_create_group(comm_, group, tag, &comm), "MPI_Comm_create_group");
  mpi_.group_free(&group);
  mpi_.group_free(&all);
  return std::make_unique<MpiLink>(job_, comm);
}

// MPI must not touch the memory of a transfer after this.
void MpiLink::end_transfers() {
  for (Transfer& transfer : transfers_) {
    if (transfer.peer >= 0 && transfer.receiving) {  // takes effect unless it is being filled right now
      mpi_.cancel(&transfer.request);
    }
  }
  const auto all_ended = [this] {
    bool all = true;
    for (Transfer& transfer : transfers_) {
      int done = 0;
      if (transfer.peer >= 0 && (mpi_.test(&transfer.request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0)) {
        transfer.peer = -1;
      }
      all = all && transfer.peer < 0;
    }
    return all;
  };
  if (poll_until(Patience::Clock::now() + std::chrono::milliseconds(100), all_ended)) {
    return;
  }
  for (Transfer& transfer : transfers_) {
    if (transfer.peer >= 0 && transfer.receiving) {
      job_.end_job(fmt::format("receiving {} bytes from rank {} had begun when the communicator ended, and cannot be "
                               "stopped",
                               transfer.bytes, transfer.peer),
                   1);
    }
    if (transfer.peer >= 0) {
      mpi_.request_free(&transfer.request);  // nobody has asked for it
    }
  }
}

}  // namespace trireme::comm
