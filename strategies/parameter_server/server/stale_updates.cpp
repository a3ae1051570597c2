#include "trireme/strategies/parameter_server/server/stale_updates.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

// The step whose values are asked for.
std::int64_t step_to_read(const Message& message) { return message.step + (message.kind == Kind::push_pull ? 1 : 0); }

}  // namespace

StaleUpdates::StaleUpdates(const Plan& plan, Shard& shard)
    : plan_(plan), shard_(shard), clock_(plan.workers, plan.bound()) {}

void StaleUpdates::leave(int worker, const std::string& why, Replies& replies) {
  (void)why;  // the others go on without it
  clock_.leave(worker);
  std::erase_if(waiting_, [worker](const Request& request) { return request.worker == worker; });
  wake(replies);
}

void StaleUpdates::request(const Request& request, Replies& replies) {
  switch (request.message.kind) {
    case Kind::push:
      apply(request);
      repeat(request, replies);
      wake(replies);
      return;
    case Kind::push_pull:
      apply(request);
      wake(replies);
      read(request, replies);
      return;
    case Kind::pull:
      clock_.reach(request.worker, request.message.step);
      wake(replies);
      read(request, replies);
      return;
    default:
      fail("{} was asked of a server whose consistency is {}", name_of(request.message.kind),
           name_of(plan_.consistency));
  }
}

void StaleUpdates::repeat(const Request& request, Replies& replies) {
  if (request.message.kind == Kind::push) {
    replies.send(request.worker, {.kind = Kind::ack, .sequence = request.message.sequence}, {});
  } else {
    read(request, replies);
  }
}

// Everything is checked before anything changes.
void StaleUpdates::apply(const Request& request) {
  const Message& message = request.message;
  std::map<int, optim::Gradient> gradients;
  for (PushedPart& part : parts_of_push(request, plan_, shard_)) {
    require(part.entry.piece != plan_.scalars(), "scalars were pushed to a server whose consistency is {}",
            name_of(plan_.consistency));
    const bool first = gradients.emplace(part.entry.piece, std::move(part.gradient)).second;
    require(first, "{}: piece {} is given twice", name_of(message.kind), part.entry.piece);
  }
  clock_.finish(request.worker, message.step);
  shard_.update(gradients, message.learning_rate, message.factor);
}

void StaleUpdates::read(const Request& request, Replies& replies) {
  if (request.message.kind == Kind::pull) {
    check_pull(request, shard_);
  }
  if (clock_.may_start(step_to_read(request.message))) {
    answer(request, replies);
    return;
  }
  std::erase_if(waiting_, [&](const Request& other) {
    return other.worker == request.worker && other.message.sequence == request.message.sequence;
  });
  waiting_.push_back({request.worker, request.message, {}});
  if (request.message.kind == Kind::pull) {
    for (const Array& rows : request.arrays) {
      waiting_.back().arrays.push_back(rows.clone());  // those of the wire must not be kept
    }
  }
}

void StaleUpdates::answer(const Request& request, Replies& replies) {
  const Message& message = request.message;
  Message reply{.kind = Kind::values, .sequence = message.sequence, .step = message.step, .entries = message.entries};
  if (message.kind == Kind::pull) {
    replies.send(request.worker, std::move(reply), values_for_pull(request, shard_));
    return;
  }
  // A push_pull gives back all dense pieces: others may have changed more of them than this push.
  reply.entries.clear();
  std::vector<Array> values;
  for (const int piece : shard_.pieces()) {
    if (!shard_.is_sparse(piece)) {
      reply.entries.push_back({.piece = piece});
      values.push_back(shard_.values(piece).clone());
    }
  }
  replies.send(request.worker, std::move(reply), std::move(values));
}

void StaleUpdates::wake(Replies& replies) {
  const auto ready = std::stable_partition(waiting_.begin(), waiting_.end(), [this](const Request& request) {
    return !clock_.may_start(step_to_read(request.message));
  });
  for (auto request = ready; request != waiting_.end(); ++request) {
    answer(*request, replies);
  }
  waiting_.erase(ready, waiting_.end());
}

}  // namespace trireme::strategies::parameter_server
