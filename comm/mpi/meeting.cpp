#include <memory>

#include "trireme/comm/mpi/meeting-inl.h"
#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
constexpr auto kGrace = std::chrono::milliseconds(500);  // to hear from the first member what it has decided

class Meeting {
 public:
  Meeting(const Mpi& mpi, MPI_Comm comm, const std::vector<int>& members, int tag)
      : mpi_(mpi), comm_(comm), members_(members), tag_(tag), came_(members.size()) {}

  // Collects an empty message of each other member, then tells all who has come.
  std::vector<char> lead(Deadline deadline) {
    came_[0] = 1;
    std::vector<MPI_Request> arrivals(members_.size(), mpi_.no_request);
    for (std::size_t i = 1; i < members_.size(); ++i) {
      check(mpi_.start_receive(nullptr, 0, mpi_.byte, members_[i], tag_, comm_, &arrivals[i]), "MPI_Irecv");
    }
    poll_until(deadline, [&] { return all_came(arrivals); });
    for (MPI_Request& arrival : arrivals) {
      give_up(arrival);
    }
    const auto* const answer = new std::vector<char>(came_);  // kept for good where it cannot be delivered
    std::vector<MPI_Request> answers(members_.size(), mpi_.no_request);
    for (std::size_t i = 1; i < members_.size(); ++i) {
      check(mpi_.start_send(answer->data(), length(), mpi_.byte, members_[i], tag_, comm_, &answers[i]), "MPI_Isend");
    }
    const auto all_sent = [&] {
      bool all = true;
      for (MPI_Request& sent : answers) {
        all = completed(sent) && all;
      }
      return all;
    };
    if (poll_until(std::chrono::steady_clock::now() + kGrace, all_sent)) {
      delete answer;
    }
    return came_;
  }

  std::vector<char> follow(Deadline deadline) {
    MPI_Request sent = mpi_.no_request;
    MPI_Request received = mpi_.no_request;
    auto answer = std::make_unique<std::vector<char>>(members_.size());
    check(mpi_.start_send(nullptr, 0, mpi_.byte, members_[0], tag_, comm_, &sent), "MPI_Isend");
    check(mpi_.start_receive(answer->data(), length(), mpi_.byte, members_[0], tag_, comm_, &received), "MPI_Irecv");
    const bool heard = poll_until(deadline + kGrace, [&] { return completed(received); });
    mpi_.request_free(&sent);
    if (heard) {
      return *answer;
    }
    give_up(received);
    static_cast<void>(answer.release());  // MPI may still write there
    std::vector<char> all_but_first(members_.size(), 1);
    all_but_first[0] = 0;
    return all_but_first;
  }

 private:
  int length() const { return static_cast<int>(members_.size()); }

  bool completed(MPI_Request& request) const {
    int done = 0;
    check(mpi_.test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  }

  bool all_came(std::vector<MPI_Request>& arrivals) {
    bool all = true;
    for (std::size_t i = 1; i < arrivals.size(); ++i) {
      came_[i] = static_cast<char>(came_[i] != 0 || completed(arrivals[i]));
      all = all && came_[i] != 0;
    }
    return all;
  }

  void give_up(MPI_Request& request) const {
    if (request != mpi_.no_request) {
      mpi_.cancel(&request);
      mpi_.request_free(&request);
    }
  }

  void check(int code, const char* call) const {
    if (code != MPI_SUCCESS) {
      fail("backend mpi: {} failed while ranks came together: {}", call, error_text(mpi_, code));
    }
  }

  const Mpi& mpi_;
  const MPI_Comm comm_;
  const std::vector<int>& members_;
  const int tag_;
  std::vector<char> came_;
};

}  // namespace

std::vector<int> meet(const Mpi& mpi, MPI_Comm comm, const std::vector<int>& members, int rank, int tag,
                      std::chrono::steady_clock::time_point deadline) {
  Meeting meeting(mpi, comm, members, tag);
  const std::vector<char> came = rank == members[0] ? meeting.lead(deadline) : meeting.follow(deadline);
  std::vector<int> missing;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (came[i] == 0) {
      missing.push_back(members[i]);
    }
  }
  return missing;
}

}  // namespace trireme::comm
