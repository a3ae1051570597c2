#include "trireme/strategies/parameter_server/clocks/request_ledger.h"

namespace trireme::strategies::parameter_server {

bool RequestLedger::open(int worker, std::uint64_t life) {
  Session& session = sessions_[static_cast<std::size_t>(worker)];
  if (life < session.life || (life == session.life && !session.open)) {
    return false;
  }
  if (life > session.life) {
    session = {life, 0, true};
  }
  return true;
}

void RequestLedger::close(int worker) { sessions_[static_cast<std::size_t>(worker)].open = false; }

RequestLedger::Verdict RequestLedger::judge(int worker, std::uint64_t life, std::uint64_t sequence) const {
  const Session& session = at(worker);
  if (life > session.life) {
    return Verdict::stranger;
  }
  if (life < session.life || !session.open) {
    return Verdict::fenced;
  }
  if (sequence <= session.settled) {
    return Verdict::duplicate;
  }
  return sequence == session.settled + 1 ? Verdict::next : Verdict::early;
}

}  // namespace trireme::strategies::parameter_server
