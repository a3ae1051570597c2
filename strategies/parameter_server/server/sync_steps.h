// SyncSteps: sync. A step's parts of gradients come from all workers, are added up in the canonical lane tree, squared
// for the norm, and applied once by every server: mirrored training's bits.
//
// A step t of one server: push (parts, as soon as a worker has them) - totals (server 0: loss, weight, ...) - reduce
// (sums of squares once all lanes are here) - apply (once every worker that has not left has asked) - values. What was
// answered about step t is remembered until step t + 1 is applied, so that whoever missed an answer, or must do step t
// again because a worker died in it, gets the same one. Parts that are here need not come again, whoever had the lanes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trireme/strategies/parameter_server/server/engine.h"
#include "trireme/strategies/parameter_server/server/part_sum.h"

namespace trireme::strategies::parameter_server {

class SyncSteps final : public Engine {
 public:
  SyncSteps(const Plan& plan, int server, Shard& shard);

  std::int64_t join(int worker) override;
  // A death interrupts the step: every other worker hears of it once, as the answer to what it waits for or asks next,
  // and may then do the step again with other lanes.
  void leave(int worker, const std::string& why, Replies& replies) override;
  void request(const Request& request, Replies& replies) override;
  void repeat(const Request& request, Replies& replies) override;

 private:
  // The answers about one step.
  struct Results {
    Array totals;                 // the scalars' sums; undefined: not complete
    Array squares;                // limbs of an ExactSum; likewise
    std::optional<double> scale;  // of the gradients, as the first reduce gave it
    std::vector<Entry> updated;
  };

  void interrupt(const Request& request, Replies& replies);
  void push(const Request& request, Replies& replies);
  void ask(const Request& request, Replies& replies);
  void check_scalars(const PushedPart& part);
  void begin(const BatchSplit& split, int worker);
  void check_apply(const Request& request) const;
  bool all_complete() const;
  void progress(Replies& replies);
  void answer_sums(Kind kind, const Array& sums, Replies& replies);
  void answer_old(const Request& request, Replies& replies);
  void square();
  bool everyone_applies() const;
  void apply(Replies& replies);
  void send_values(const Request& request, bool copied, Replies& replies) const;

  const Plan& plan_;
  int server_;
  Shard& shard_;
  std::int64_t scalars_ = 0;  // how many; 0: not known yet
  std::int64_t step_ = 0;     // the one that is being assembled
  std::optional<LaneParts> tree_;
  std::map<int, PartSum> sums_;  // of this server's pieces, and of the scalars on server 0
  Results now_;
  Results before_;                                          // of step_ - 1
  std::vector<Request> waiting_;                            // without arrays; at most one of each worker and kind
  std::vector<bool> left_;                                  // [worker]
  std::vector<std::string> interruption_;                   // [worker]: what it has not heard of yet
  std::vector<std::map<std::uint64_t, std::string>> told_;  // [worker][sequence]: answers that may have been lost
};

}  // namespace trireme::strategies::parameter_server
