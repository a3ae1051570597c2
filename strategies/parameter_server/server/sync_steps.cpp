#include "trireme/strategies/parameter_server/server/sync_steps.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "trireme/core/array/scale.h"
#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

}  // namespace

SyncSteps::SyncSteps(const Plan& plan, int server, Shard& shard)
    : plan_(plan),
      server_(server),
      shard_(shard),
      left_(static_cast<std::size_t>(plan.workers), false),
      interruption_(static_cast<std::size_t>(plan.workers)),
      told_(static_cast<std::size_t>(plan.workers)) {
  for (const int piece : shard.pieces()) {
    sums_[piece] = {};
  }
  if (server == 0) {
    sums_[plan.scalars()] = {};
  }
}

std::int64_t SyncSteps::join(int worker) {
  left_[static_cast<std::size_t>(worker)] = false;
  interruption_[static_cast<std::size_t>(worker)].clear();
  told_[static_cast<std::size_t>(worker)].clear();
  return step_;
}

void SyncSteps::leave(int worker, const std::string& why, Replies& replies) {
  left_[static_cast<std::size_t>(worker)] = true;
  std::erase_if(waiting_, [worker](const Request& request) { return request.worker == worker; });
  if (why.empty()) {
    progress(replies);
    return;
  }
  for (int other = 0; other < plan_.workers; ++other) {
    if (other != worker) {
      interruption_[static_cast<std::size_t>(other)] = why;
    }
  }
  for (const Request& request : std::exchange(waiting_, {})) {
    interrupt(request, replies);
  }
}

// Once, but the answer may be lost: whoever asks the same again is told again, and has not been served.
void SyncSteps::interrupt(const Request& request, Replies& replies) {
  const auto worker = static_cast<std::size_t>(request.worker);
  const std::string why = std::exchange(interruption_[worker], {});
  told_[worker][request.message.sequence] = why;
  replies.refuse(request.worker, request.message.sequence, why);
}

void SyncSteps::request(const Request& request, Replies& replies) {
  const Message& message = request.message;
  if (!interruption_[static_cast<std::size_t>(request.worker)].empty()) {
    interrupt(request, replies);
    return;
  }
  if (message.kind == Kind::pull) {
    replies.send(request.worker,
                 {.kind = Kind::values, .sequence = message.sequence, .step = step_ - 1, .entries = message.entries},
                 values_for_pull(request, shard_));
    return;
  }
  require(message.step == step_ || message.step == step_ - 1, "{} of step {} was asked of a server that is in step {}",
          name_of(message.kind), message.step, step_);
  if (message.kind == Kind::push) {
    push(request, replies);
  } else if (message.step < step_) {
    answer_old(request, replies);
  } else {
    ask(request, replies);
  }
}

void SyncSteps::repeat(const Request& request, Replies& replies) {
  const auto& told = told_[static_cast<std::size_t>(request.worker)];
  const auto refusal = told.find(request.message.sequence);
  if (refusal != told.end()) {
    replies.refuse(request.worker, request.message.sequence, refusal->second);
  } else if (request.message.kind == Kind::push) {
    replies.send(request.worker, {.kind = Kind::ack, .sequence = request.message.sequence}, {});
  } else if (request.message.kind == Kind::pull || request.message.step >= step_ - 1) {
    this->request(request, replies);
  }
}

void SyncSteps::push(const Request& request, Replies& replies) {
  const Message& message = request.message;
  if (message.step == step_) {
    const std::vector<PushedPart> parts = parts_of_push(request, plan_, shard_);
    for (const PushedPart& part : parts) {
      check_scalars(part);
    }
    begin(message.split, request.worker);
    for (const PushedPart& part : parts) {
      sums_.at(part.entry.piece).add(*tree_, part.entry.part, part.gradient);
    }
  }
  replies.send(request.worker, {.kind = Kind::ack, .sequence = message.sequence}, {});
  progress(replies);
}

void SyncSteps::check_scalars(const PushedPart& part) {
  if (part.entry.piece != plan_.scalars()) {
    return;
  }
  const Array& values = part.gradient.dense;
  require(server_ == 0, "push: scalars given to server {}, which server 0 adds up", server_);
  require(values.defined() && values.dtype() == DType::f64 && values.dims() == 1 && values.is_contiguous() &&
              (scalars_ == 0 || values.count() == scalars_),
          "push: scalars {} given, f64[{}] expected", values, scalars_);
  scalars_ = values.count();
}

void SyncSteps::begin(const BatchSplit& split, int worker) {
  if (!tree_) {
    tree_.emplace(split);
  }
  const BatchSplit& first = tree_->split();
  require(
      first == split,
      "push of step {}: worker {} cuts the batch into {} lanes x {} micro-batches, {} items, another worker into {} "
      "x {}, {} items; start all workers with the same options",
      step_, worker, split.lanes, split.accumulate, split.items, first.lanes, first.accumulate, first.items);
}

void SyncSteps::ask(const Request& request, Replies& replies) {
  const Message& message = request.message;
  require(message.kind != Kind::totals || server_ == 0, "totals were asked of server {}; server 0 has them", server_);
  require(message.kind == Kind::totals || message.kind == Kind::reduce || message.kind == Kind::apply,
          "{} was asked of a server whose consistency is sync", name_of(message.kind));
  if (message.kind == Kind::reduce) {
    require(same_bits(now_.scale.value_or(message.factor), message.factor),
            "reduce of step {}: worker {} scales gradients by {}, another worker by {}", step_, request.worker,
            message.factor, now_.scale.value_or(0));
    now_.scale = message.factor;
  }
  if (message.kind == Kind::apply) {
    check_apply(request);
  }
  std::erase_if(waiting_, [&](const Request& other) {
    return other.worker == request.worker && other.message.kind == message.kind;
  });
  waiting_.push_back({request.worker, message, {}});
  progress(replies);
}

void SyncSteps::check_apply(const Request& request) const {
  const Message& message = request.message;
  for (const Entry& entry : message.entries) {
    require(shard_.has(entry.piece), "apply of step {}: piece {} given, which is not on server {}", step_, entry.piece,
            server_);
  }
  for (const Request& other : waiting_) {
    const Message& first = other.message;
    require(first.kind != Kind::apply || (message.entries == first.entries && same_bits(message.factor, first.factor) &&
                                          same_bits(message.learning_rate, first.learning_rate)),
            "apply of step {}: workers {} and {} ask for different updates (rates {} and {}, factors {} and {})", step_,
            other.worker, request.worker, first.learning_rate, message.learning_rate, first.factor, message.factor);
  }
}

bool SyncSteps::all_complete() const {
  return std::ranges::all_of(sums_, [this](const auto& sum) {
    return sum.first == plan_.scalars() || (tree_ && sum.second.complete(*tree_));
  });
}

void SyncSteps::progress(Replies& replies) {
  if (server_ == 0 && !now_.totals.defined() && tree_ && sums_.at(plan_.scalars()).complete(*tree_)) {
    now_.totals = sums_.at(plan_.scalars()).sum().dense;
  }
  if (!now_.squares.defined() && now_.scale && all_complete()) {
    square();
  }
  answer_sums(Kind::totals, now_.totals, replies);
  answer_sums(Kind::reduce, now_.squares, replies);
  if (everyone_applies()) {
    apply(replies);
  }
}

void SyncSteps::answer_sums(Kind kind, const Array& sums, Replies& replies) {
  if (!sums.defined()) {
    return;
  }
  std::erase_if(waiting_, [&](const Request& request) {
    const Message& message = request.message;
    if (message.kind == kind) {
      replies.send(request.worker, {.kind = Kind::sums, .sequence = message.sequence, .step = message.step}, {sums});
    }
    return message.kind == kind;
  });
}

// Multiplied first where weights were only known afterwards, as mirrored training does.
void SyncSteps::square() {
  ExactSum sum;
  for (const int piece : shard_.pieces()) {
    const optim::Gradient& gradient = sums_.at(piece).sum();
    if (*now_.scale != 1) {
      scale(gradient.rows.defined() ? gradient.rows.values : gradient.dense, *now_.scale);
    }
    shard_.add_squares(sum, piece, gradient);
  }
  const auto limbs = sum.limbs();
  now_.squares = Array::from(std::span<const std::int64_t>(limbs), {ExactSum::kLimbs});
}

bool SyncSteps::everyone_applies() const {
  std::vector<bool> asked = left_;
  bool one = false;
  for (const Request& request : waiting_) {
    if (request.message.kind == Kind::apply) {
      asked[static_cast<std::size_t>(request.worker)] = true;
      one = true;
    }
  }
  return one && now_.squares.defined() && std::ranges::all_of(asked, [](bool has) { return has; });
}

void SyncSteps::apply(Replies& replies) {
  std::vector<Request> applies;
  applies.swap(waiting_);  // nothing else waits: each worker asks for one thing at a time
  const Message& first = applies.front().message;
  std::map<int, optim::Gradient> gradients;
  for (const Entry& entry : first.entries) {
    gradients[entry.piece] = sums_.at(entry.piece).sum();
  }
  shard_.update(gradients, first.learning_rate, first.factor);
  gradients.clear();
  now_.updated = first.entries;
  before_ = std::exchange(now_, {});
  ++step_;
  tree_.reset();
  for (auto& [piece, sum] : sums_) {
    sum.clear();
  }
  for (const Request& request : applies) {
    send_values(request, false, replies);
  }
}

// In sync values stay as they are until this worker asks for the next update, so they travel without a copy; an answer
// that is given twice may be overtaken by that.
void SyncSteps::send_values(const Request& request, bool copied, Replies& replies) const {
  Message answer{.kind = Kind::values, .sequence = request.message.sequence, .step = step_ - 1};
  std::vector<Array> values;
  for (const Entry& entry : before_.updated) {
    if (!shard_.is_sparse(entry.piece)) {
      answer.entries.push_back(entry);
      values.push_back(copied ? shard_.values(entry.piece).clone() : shard_.values(entry.piece));
    }
  }
  replies.send(request.worker, std::move(answer), std::move(values));
}

void SyncSteps::answer_old(const Request& request, Replies& replies) {
  const Message& message = request.message;
  if (message.kind == Kind::apply) {
    send_values(request, true, replies);
    return;
  }
  require(message.kind == Kind::totals || message.kind == Kind::reduce, "{} was asked of a server in sync",
          name_of(message.kind));
  const Array& sums = message.kind == Kind::totals ? before_.totals : before_.squares;
  require(sums.defined(), "{} of step {} was asked of server {}, which has none", name_of(message.kind), message.step,
          server_);
  replies.send(request.worker, {.kind = Kind::sums, .sequence = message.sequence, .step = message.step}, {sums});
}

}  // namespace trireme::strategies::parameter_server
