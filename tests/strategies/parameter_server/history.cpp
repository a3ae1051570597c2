#include "tests/strategies/parameter_server/history.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace trireme::strategies::parameter_server {
namespace {

using Seen = std::pair<std::int64_t, std::int64_t>;  // how many pushes, and the sum of their weights

// The pushes of one worker to one server. Those of a life that ended before they were acknowledged may have been
// applied or not; all others are.
struct Pushes {
  struct Push {
    std::int64_t step;
    int life;
    bool acked = false;
    bool abandoned = false;
  };
  std::vector<Push> all;

  void abandon() {
    for (Push& push : all) {
      push.abandoned = push.abandoned || !push.acked;
    }
  }
  // Could a read that must see the first `least` pushes have seen this?
  bool explains(int worker, std::size_t least, Seen seen) const {
    if (std::ranges::none_of(all, &Push::abandoned)) {
      const auto count = static_cast<std::size_t>(seen.first);
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < std::min(count, all.size()); ++i) {
        sum += weight_of(worker, all[i].step);
      }
      return least <= count && count <= all.size() && sum == seen.second;
    }
    std::set<Seen> possible{{0, 0}};
    for (std::size_t i = 0; i <= all.size(); ++i) {
      if (i >= least && possible.contains(seen)) {
        return true;
      }
      if (i < all.size()) {
        std::set<Seen> next;
        for (const auto& [count, sum] : possible) {
          next.emplace(count + 1, sum + weight_of(worker, all[i].step));
          if (all[i].abandoned) {
            next.emplace(count, sum);
          }
        }
        possible = std::move(next);
      }
    }
    return false;
  }
};

class Checker {
 public:
  explicit Checker(const Contract& contract)
      : contract_(contract),
        pushes_(pairs()),
        last_(pairs() * static_cast<std::size_t>(contract.workers)),
        floor_(pairs() * static_cast<std::size_t>(contract.workers)),
        lives_(static_cast<std::size_t>(contract.workers)),
        buried_(pairs(), false) {}

  std::vector<std::string> run(const std::vector<Record>& history) {
    for (const Record& record : history) {
      take(record);
    }
    return found_;
  }

 private:
  struct Life {
    int number = 0;
    std::int64_t first_step = 0;
    bool counts = true;  // before the first life too: others wait for it
  };

  std::size_t pairs() const { return static_cast<std::size_t>(contract_.workers * contract_.servers); }
  std::size_t pair(int worker, int server) const {
    return static_cast<std::size_t>(worker * contract_.servers + server);
  }
  std::size_t triple(int reader, int worker, int server) const {
    return static_cast<std::size_t>(reader) * pairs() + pair(worker, server);
  }

  void take(const Record& record) {
    Life& life = lives_[static_cast<std::size_t>(record.worker)];
    std::vector<Pushes::Push>& pushes = pushes_[pair(record.worker, record.server)].all;
    switch (record.kind) {
      case Record::Kind::began:
        life = {life.number + 1, record.step, true};
        break;
      case Record::Kind::joined:
        buried_[pair(record.worker, record.server)] = false;
        break;
      case Record::Kind::buried:
        buried_[pair(record.worker, record.server)] = true;
        break;
      case Record::Kind::pushed:
        pushes.push_back({record.step, life.number});
        break;
      case Record::Kind::acked:
        std::ranges::for_each(pushes, [&](auto& push) { push.acked |= push.step == record.step; });
        break;
      case Record::Kind::asked:
        ask(record);
        break;
      case Record::Kind::read:
        for (int worker = 0; worker < contract_.workers; ++worker) {
          check(record, worker);
        }
        break;
      case Record::Kind::ended:
      case Record::Kind::died:
        life.counts = false;
        for (int server = 0; server < contract_.servers; ++server) {
          pushes_[pair(record.worker, server)].abandon();
        }
        break;
    }
  }

  // What is acknowledged by now, and all of its own, must be seen.
  void ask(const Record& record) {
    for (int worker = 0; worker < contract_.workers; ++worker) {
      const auto& pushes = pushes_[pair(worker, record.server)].all;
      const int own_life = lives_[static_cast<std::size_t>(record.worker)].number;
      std::size_t& floor = floor_[triple(record.worker, worker, record.server)];
      for (std::size_t i = 0; i < pushes.size(); ++i) {
        if (pushes[i].acked || (worker == record.worker && pushes[i].life == own_life)) {
          floor = std::max(floor, i + 1);
        }
      }
    }
  }

  void check(const Record& read, int worker) {
    const auto at = static_cast<std::size_t>(2 * worker);
    const Seen seen{static_cast<std::int64_t>(read.values[at]), static_cast<std::int64_t>(read.values[at + 1])};
    const Pushes& pushes = pushes_[pair(worker, read.server)];
    const std::size_t known = triple(read.worker, worker, read.server);
    if (seen.first < last_[known].first || seen.second < last_[known].second) {
      complain(read, worker, seen, "older values than before");
    }
    last_[known] = seen;
    if (!pushes.explains(worker, floor_[known], seen)) {
      complain(read, worker, seen,
               pushes.explains(worker, 0, seen) ? "a push is missing that was acknowledged, or is its own"
                                                : "a push was applied twice, or out of order, or was never sent");
    }
    check_staleness(read, worker, seen);
  }

  void check_staleness(const Record& read, int worker, Seen seen) {
    const Life& life = lives_[static_cast<std::size_t>(worker)];
    if (!contract_.staleness || !life.counts || buried_[pair(worker, read.server)] || worker == read.worker) {
      return;
    }
    const std::int64_t newest = read.step - *contract_.staleness - 1;  // the last step that must be in
    if (newest < life.first_step) {
      return;
    }
    const Pushes& pushes = pushes_[pair(worker, read.server)];
    const auto reached = std::ranges::find_if(
        pushes.all, [&](const auto& push) { return push.life == life.number && push.step == newest; });
    if (reached == pushes.all.end()) {
      complain(read, worker, seen, fmt::format("ran ahead: that worker has not pushed step {}", newest));
    } else if (!pushes.explains(worker, static_cast<std::size_t>(reached - pushes.all.begin()) + 1, seen)) {
      complain(read, worker, seen, fmt::format("staler than the bound: step {} is missing", newest));
    }
  }

  void complain(const Record& read, int worker, Seen seen, const std::string& what) {
    found_.push_back(
        fmt::format("worker {} reads server {} for step {} and sees {} pushes (weights {}) of worker {}: {}",
                    read.worker, read.server, read.step, seen.first, seen.second, worker, what));
  }

  const Contract contract_;
  std::vector<Pushes> pushes_;      // [worker][server]
  std::vector<Seen> last_;          // [reader][worker][server]
  std::vector<std::size_t> floor_;  // [reader][worker][server]: the first so many pushes must be seen
  std::vector<Life> lives_;
  std::vector<bool> buried_;  // [worker][server]
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> violations(const Contract& contract, const std::vector<Record>& history) {
  return Checker(contract).run(history);
}

}  // namespace trireme::strategies::parameter_server
