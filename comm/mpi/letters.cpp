#include <algorithm>
#include <cstring>

#include "trireme/comm/mpi/letters-inl.h"
#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

constexpr int kTag = Link::kTags;  // the first above those of transfers
// What a process has sent lies in shared memory when it dies; MPI takes some of it at each poll.
constexpr int kLastLooks = 50;

}  // namespace

MpiLetters::MpiLetters(MpiJob& job, MPI_Comm comm, const std::vector<int>& job_ranks)
    : job_(job),
      mpi_(job.mpi()),
      comm_(comm),
      job_ranks_(job_ranks),
      incoming_(mpi_.no_request),
      in_(std::make_unique<std::array<std::byte, Link::kMaxLetterBytes>>()),
      lost_(job_ranks.size()),
      last_looks_(job_ranks.size()) {}

MpiLetters::~MpiLetters() {
  poll_until(Patience::Clock::now() + std::chrono::milliseconds(100), [this] { return all_sent(); });
  for (auto& envelope : on_the_way_) {
    mpi_.request_free(&envelope->request);
    static_cast<void>(envelope.release());  // MPI may still read it
  }
}

void MpiLetters::post(int peer, std::span<const std::byte> letter) {
  require(letter.size() <= Link::kMaxLetterBytes, "backend mpi: a letter of {} bytes given, at most {} expected",
          letter.size(), Link::kMaxLetterBytes);
  const std::lock_guard lock(mutex_);
  if (unused_.empty()) {
    unused_.push_back(std::make_unique<Envelope>());
  }
  std::unique_ptr<Envelope> envelope = std::move(unused_.back());
  unused_.pop_back();
  std::memcpy(envelope->bytes.data(), letter.data(), letter.size());
  const int code = mpi_.start_send(envelope->bytes.data(), static_cast<int>(letter.size()), mpi_.byte, peer, kTag,
                                   comm_, &envelope->request);
  (code == MPI_SUCCESS ? on_the_way_ : unused_).push_back(std::move(envelope));
}

bool MpiLetters::all_sent() {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = on_the_way_.size(); i-- > 0;) {
    int done = 0;
    if (mpi_.test(&on_the_way_[i]->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0) {
      unused_.push_back(std::move(on_the_way_[i]));
      on_the_way_.erase(on_the_way_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return on_the_way_.empty();
}

void MpiLetters::start_receive() {
  const int code =
      mpi_.start_receive(in_->data(), Link::kMaxLetterBytes, mpi_.byte, MPI_ANY_SOURCE, kTag, comm_, &incoming_);
  if (code != MPI_SUCCESS) {
    incoming_ = mpi_.no_request;
    report_all_lost(fmt::format("MPI_Irecv failed: {}", error_text(mpi_, code)));
  }
}

void MpiLetters::start_reading(LetterReader& reader) {
  reader_ = &reader;
  start_receive();
}

bool MpiLetters::read() {
  bool any = false;
  while (read_one()) {
    any = true;
  }
  report_dead();
  all_sent();
  return any;
}

bool MpiLetters::read_one() {
  if (incoming_ == mpi_.no_request) {
    return false;
  }
  int done = 0;
  MPI_Status status;
  if (const int code = mpi_.test(&incoming_, &done, &status); code != MPI_SUCCESS) {
    incoming_ = mpi_.no_request;
    report_all_lost(fmt::format("receiving failed: {}", error_text(mpi_, code)));
    return false;
  }
  if (done == 0) {
    return false;
  }
  int length = 0;
  mpi_.get_count(&status, mpi_.byte, &length);
  last_looks_[static_cast<std::size_t>(status.MPI_SOURCE)] = 0;
  reader_->on_letter(status.MPI_SOURCE, std::span(in_->data(), static_cast<std::size_t>(length)));
  start_receive();
  return true;
}

void MpiLetters::report_dead() {
  for (std::size_t peer = 0; peer < job_ranks_.size(); ++peer) {
    const MpiJob::Process& process = job_.processes()[static_cast<std::size_t>(job_ranks_[peer])];
    if (lost_[peer] == 0 && job_.is_dead(job_ranks_[peer]) && ++last_looks_[peer] > kLastLooks) {
      lost(static_cast<int>(peer), fmt::format("its process, pid {}, has ended", process.pid));
    }
  }
}

void MpiLetters::report_all_lost(const std::string& why) {
  for (std::size_t peer = 0; peer < lost_.size(); ++peer) {
    lost(static_cast<int>(peer), why);
  }
}

void MpiLetters::lost(int peer, const std::string& why) {
  if (lost_[static_cast<std::size_t>(peer)] == 0) {
    lost_[static_cast<std::size_t>(peer)] = 1;
    reader_->on_lost(peer, why);
  }
}

void MpiLetters::stop_reading() {
  if (incoming_ != mpi_.no_request) {
    mpi_.cancel(&incoming_);
    int done = 0;
    const auto ended = [&] { return mpi_.test(&incoming_, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0; };
    if (!poll_until(Patience::Clock::now() + std::chrono::milliseconds(100), ended)) {
      mpi_.request_free(&incoming_);
      static_cast<void>(in_.release());  // MPI may still write there
    }
  }
  reader_ = nullptr;
}

}  // namespace trireme::comm
