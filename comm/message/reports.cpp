// What ranks tell each other when a collective stalls. Letters are read by threads of the link, so a rank answers
// whatever its own threads do, as long as its process runs.
#include <unistd.h>

#include <algorithm>

#include "trireme/comm/message/message_communicator.h"
#include "trireme/core/base/host.h"

namespace trireme::comm::message {
namespace {

constexpr std::size_t kRecords = 16;  // of a report

}  // namespace

// So that a rank which cannot answer any more has a name and a place.
void MessageCommunicator::introduce() {
  const Letter letter({.kind = LetterKind::introduction, .number = getpid()}, host_name());
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) {
      post(peer, letter);
    }
  }
}

void MessageCommunicator::answer(int peer, const LetterView& query) {
  const std::vector<std::byte> report = pack(own_report(kRecords), std::chrono::steady_clock::now(), kMaxLetterBody);
  post(peer, Letter({.kind = LetterKind::answer, .number = query.head.number}, {}, report));
}

void MessageCommunicator::on_answer(int peer, const LetterView& letter) {
  std::optional<RankReport> report = unpack(letter.body, std::chrono::steady_clock::now());
  for (Question* question : questions_) {
    if (question->number == letter.head.number) {
      question->answers[static_cast<std::size_t>(peer)] = report;
    }
  }
}

// Whoever can be seen not to answer, gone or stopped on this host, is not waited for.
bool MessageCommunicator::has_answers(const Question& question) const {
  for (int peer = 0; peer < size(); ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    if (peer != rank() && !question.answers[p] && report_without_answer(peer).presence == Presence::silent) {
      return false;
    }
  }
  return true;
}

RankReport MessageCommunicator::report_without_answer(int peer) const {
  const Peer& there = peers_[static_cast<std::size_t>(peer)];
  RankReport report{.rank = peer, .host = there.host, .pid = there.pid, .presence = Presence::silent};
  if (there.left || there.lost) {
    report.presence = there.left ? Presence::left : Presence::dead;
  } else if (there.pid > 0 && there.host == host_name()) {
    const Presence seen = presence_of_process(there.pid);
    report.presence = seen == Presence::alive ? Presence::silent : seen;
  }
  return report;
}

std::vector<RankReport> MessageCommunicator::look_at_ranks() {
  Lock lock(mutex_);
  Question question{question_numbers_++, std::vector<std::optional<RankReport>>(static_cast<std::size_t>(size()))};
  questions_.push_back(&question);
  const Letter letter({.kind = LetterKind::query, .number = question.number}, {});
  for (int peer = 0; peer < size(); ++peer) {
    const Peer& there = peers_[static_cast<std::size_t>(peer)];
    if (peer != rank() && !there.left && !there.lost) {
      post(peer, letter);
    }
  }
  changed_.wait_for(lock, kPatience, [&] { return has_answers(question); });
  std::erase(questions_, &question);
  std::vector<RankReport> reports;
  for (int peer = 0; peer < size(); ++peer) {
    std::optional<RankReport>& answer = question.answers[static_cast<std::size_t>(peer)];
    reports.push_back(peer == rank() ? own_report(kRecords)
                      : answer       ? std::move(*answer)
                                     : report_without_answer(peer));
    reports.back().rank = peer;
  }
  return reports;
}

}  // namespace trireme::comm::message
