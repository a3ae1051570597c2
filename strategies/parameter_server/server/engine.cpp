#include "trireme/strategies/parameter_server/server/engine.h"

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/server/stale_updates.h"
#include "trireme/strategies/parameter_server/server/sync_steps.h"

namespace trireme::strategies::parameter_server {
namespace {

// Hands out a request's arrays, in the order of its entries.
class ArrayReader {
 public:
  explicit ArrayReader(const Request& request) : request_(request) {}

  const Array& next() {
    require(used_ < request_.arrays.size(), "{}: {} arrays given for {} entries, more expected",
            name_of(request_.message.kind), request_.arrays.size(), request_.message.entries.size());
    return request_.arrays[used_++];
  }
  void finish() const {
    require(used_ == request_.arrays.size(), "{}: {} arrays given for {} entries, {} expected",
            name_of(request_.message.kind), request_.arrays.size(), request_.message.entries.size(), used_);
  }

 private:
  const Request& request_;
  std::size_t used_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Plan& plan, int server, Shard& shard) {
  if (plan.consistency == Consistency::sync) {
    return std::make_unique<SyncSteps>(plan, server, shard);
  }
  return std::make_unique<StaleUpdates>(plan, shard);
}

std::vector<PushedPart> parts_of_push(const Request& request, const Plan& plan, const Shard& shard) {
  std::vector<PushedPart> parts;
  ArrayReader arrays(request);
  for (const Entry& entry : request.message.entries) {
    optim::Gradient gradient;
    if (entry.sparse) {
      gradient.rows.rows = arrays.next();
    }
    (entry.sparse ? gradient.rows.values : gradient.dense) = arrays.next();
    if (entry.piece != plan.scalars()) {
      shard.check(entry.piece, gradient);
    }
    parts.push_back({entry, std::move(gradient)});
  }
  arrays.finish();
  return parts;
}

void check_pull(const Request& pull, const Shard& shard) {
  ArrayReader arrays(pull);
  for (const Entry& entry : pull.message.entries) {
    if (entry.sparse) {
      shard.check_rows(entry.piece, arrays.next());
    } else {
      (void)shard.values(entry.piece);
    }
  }
  arrays.finish();
}

std::vector<Array> values_for_pull(const Request& pull, const Shard& shard) {
  check_pull(pull, shard);
  std::vector<Array> values;
  ArrayReader arrays(pull);
  for (const Entry& entry : pull.message.entries) {
    values.push_back(entry.sparse ? shard.rows(entry.piece, arrays.next()) : shard.values(entry.piece).clone());
  }
  return values;
}

}  // namespace trireme::strategies::parameter_server
