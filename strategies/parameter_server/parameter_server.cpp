#include "trireme/strategies/parameter_server/parameter_server.h"

#include <algorithm>
#include <exception>

#include "trireme/core/array/accumulate.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"
#include "trireme/core/optim/clip.h"
#include "trireme/core/optim/rows.h"
#include "trireme/strategies/parameter_server/worker_gradients.h"

namespace trireme::strategies {

using parameter_server::Client;
using parameter_server::Entry;
using parameter_server::Kind;
using parameter_server::Message;
using parameter_server::WorkerGradients;

ParameterServer::ParameterServer(comm::World world, parameter_server::Endpoint& endpoint,
                                 const ParameterServerOptions& options)
    : LaneStrategy(std::move(world), options.seed), endpoint_(endpoint), options_(options) {
  require_usage(endpoint.self() == parameter_server::Node{parameter_server::Role::worker, this->world().rank()},
                "parameter_server: the endpoint of worker {} was given to rank {}", endpoint.self().index,
                this->world().rank());
}

ParameterServer::~ParameterServer() {
  if (client_ == nullptr || std::uncaught_exceptions() > 0) {
    return;  // after an error nobody is waited for: the servers see the endpoint leave
  }
  try {
    client_->goodbye();
  } catch (const Error& error) {
    log::warning("parameter_server: a server does not know that worker {} is done: {}", endpoint_.self().index,
                 error.what());
  }
}

// Servers have the first values from the seed. Where the program has set values of its own, those of rank 0 go there.
void ParameterServer::place_parameters() {
  plan_ = parameter_server::plan_for(model(), optimizer(), world().size(), options_);
  client_ = std::make_unique<Client>(endpoint_, plan_, Client::Options{options_.life, options_.timeout});
  step_ = client_->first_step();
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    if (parameters()[i].tensor.requires_grad()) {
      parameter_of_.push_back(i);
    }
  }
  std::ranges::stable_partition(parameter_of_, [this](std::size_t i) { return !parameters()[i].sparse; });
  if (world().rank() == 0 && step_ == 0) {
    assign_own_values();
  }
  for (nn::NamedParameter& parameter : parameters()) {
    if (parameter.sparse && parameter.tensor.requires_grad()) {
      require(
          !parameter.tensor.array().has_data(),
          "parameter_server: table '{}' has values already; the servers make its rows from the seed: do not initialize "
          "or load it before prepare()",
          parameter.name);
      values_.emplace_back();
      continue;
    }
    Array place = Array::empty(parameter.tensor.shape());
    if (parameter.tensor.array().has_data()) {
      place.copy_from(parameter.tensor.array());
    } else {
      parameter.init.fill(seed(), parameter.name, 0, place);
    }
    if (!parameter.tensor.requires_grad()) {
      communicator().broadcast(place, 0, {.name = parameter.name}).wait();
    }
    values_.push_back(place);
    parameter.tensor.set_value(std::move(place));
  }
  communicator().barrier({.name = "first values"}).wait();
  pull_all();
}

Array ParameterServer::rows_of_piece(const Array& whole, int piece) const {
  const sharding::RowRange rows = plan_.pieces[static_cast<std::size_t>(piece)].rows;
  const std::int64_t row = plan_.row_length(piece);
  return whole.narrow(0, rows.begin * row, rows.size() * row);
}

void ParameterServer::assign_own_values() {
  std::vector<Message> messages(static_cast<std::size_t>(plan_.servers), Message{.kind = Kind::assign});
  std::vector<std::vector<Array>> arrays(messages.size());
  for (std::size_t p = 0; p < plan_.pieces.size(); ++p) {
    const sharding::VariablePiece& piece = plan_.pieces[p];
    const Tensor& tensor = parameters()[parameter_of_[static_cast<std::size_t>(piece.variable)]].tensor;
    if (tensor.array().has_data()) {
      const auto server = static_cast<std::size_t>(piece.server);
      messages[server].entries.push_back({.piece = static_cast<int>(p)});
      arrays[server].push_back(rows_of_piece(tensor.array().contiguous().flatten(), static_cast<int>(p)));
    }
  }
  for (int server = 0; server < plan_.servers; ++server) {
    const auto s = static_cast<std::size_t>(server);
    if (!arrays[s].empty()) {
      client_->request(server, std::move(messages[s]), std::move(arrays[s]));
      client_->wait_for_all(server);
    }
  }
}

void ParameterServer::pull_all() {
  std::vector<std::uint64_t> requests;
  for (int server = 0; server < plan_.servers; ++server) {
    Message message{.kind = Kind::pull, .step = step_};
    for (const int piece : plan_.pieces_on(server)) {
      if (!plan_.variable_of(piece).sparse) {
        message.entries.push_back({.piece = piece});
      }
    }
    requests.push_back(client_->request(server, std::move(message), {}));
  }
  for (int server = 0; server < plan_.servers; ++server) {
    take_values(client_->wait(server, requests[static_cast<std::size_t>(server)]));
  }
}

void ParameterServer::take_values(const Client::Answer& answer) {
  require(answer.message.kind == Kind::values && answer.arrays.size() == answer.message.entries.size(),
          "parameter_server: server {} has answered {} with {} arrays, values expected", answer.server,
          name_of(answer.message.kind), answer.arrays.size());
  for (std::size_t i = 0; i < answer.arrays.size(); ++i) {
    const int index = answer.message.entries[i].piece;
    require(index >= 0 && index < plan_.scalars(), "parameter_server: server {} sends piece {} of {}", answer.server,
            index, plan_.scalars());
    const sharding::VariablePiece& piece = plan_.pieces[static_cast<std::size_t>(index)];
    const Array& value = values_[parameter_of_[static_cast<std::size_t>(piece.variable)]];
    require(value.defined(), "parameter_server: server {} sends values of table '{}' that were not asked for",
            answer.server, plan_.variable_of(index).name);
    rows_of_piece(value.flatten(), index).copy_from(answer.arrays[i]);
  }
}

std::unique_ptr<GradientReduction> ParameterServer::make_gradients(std::vector<TrainedParameter> trained) {
  auto gradients = std::make_unique<WorkerGradients>(*client_, plan_, std::move(trained));
  gradients_ = gradients.get();
  gradients_->begin_step(step_);
  return gradients;
}

// The optimizer's state is on the servers. Here it has the learning rate, and counts steps.
std::vector<optim::Slot> ParameterServer::make_slots() {
  std::vector<optim::Slot> slots;
  for (const nn::NamedParameter& parameter : parameters()) {
    slots.push_back({parameter.name, parameter.tensor.shape(), 0, parameter.sparse, Array::empty({0}), {}});
  }
  return slots;
}

void ParameterServer::reduce_scalars(StepScalars& scalars, const StepPlan& plan) {
  if (!is_sync()) {
    add_up_own(scalars, plan);
    return;
  }
  const std::vector<comm::Part>& parts = scalars.parts(plan);
  if (!parts.empty()) {
    Message push{.kind = Kind::push, .step = step_, .split = plan.split};
    std::vector<Array> arrays;
    for (const comm::Part& part : parts) {
      push.entries.push_back({.piece = plan_.scalars(), .part = part.subtree});
      arrays.push_back(part.array);
    }
    client_->request(0, std::move(push), std::move(arrays));
  }
  const std::uint64_t totals = client_->request(0, {.kind = Kind::totals, .step = step_}, {});
  scalars.take_total(client_->wait(0, totals).arrays.at(0));
}

// What this worker's lanes have seen; nobody waits for the others.
void ParameterServer::add_up_own(StepScalars& scalars, const StepPlan& plan) {
  const std::vector<comm::Part>& parts = scalars.parts(plan);
  const Subtree own = plan.split.leaves_of(world().rank(), world().size());
  std::int64_t items = 0;
  for (std::int64_t leaf = own.begin; leaf < own.end; ++leaf) {
    items += plan.split.items_of(leaf);
  }
  share_ = static_cast<double>(items) / static_cast<double>(plan.split.items);
  if (parts.empty()) {
    scalars.take_nothing();
    return;
  }
  for (const Addition& addition : reduction_plan(plan.lanes.parts, plan.split.leaves())) {
    accumulate(parts[static_cast<std::size_t>(addition.target)].array,
               parts[static_cast<std::size_t>(addition.source)].array);
  }
  scalars.take_total(parts[0].array);
}

void ParameterServer::scale_gradients(double factor) {
  if (is_sync()) {
    gradients_->scale(factor);
  } else {
    LaneStrategy::scale_gradients(factor * share_);
  }
}

double ParameterServer::gradient_norm() {
  ExactSum sum;
  if (!is_sync()) {
    for (std::size_t i = 0; i < parameter_of_.size() && !is_table(i); ++i) {
      optim::add_squares(sum, gradients_->reduced(i), optim::row_length(plan_.variables[i].shape));
    }
    tables_->add_squares(sum, 0, 1);
    return optim::norm_of(sum);
  }
  std::vector<std::uint64_t> requests;
  for (int server = 0; server < plan_.servers; ++server) {
    requests.push_back(
        client_->request(server, {.kind = Kind::reduce, .step = step_, .factor = gradients_->factor()}, {}));
  }
  for (int server = 0; server < plan_.servers; ++server) {
    const Client::Answer answer = client_->wait(server, requests[static_cast<std::size_t>(server)]);
    const auto limbs = answer.arrays.at(0).span<std::int64_t>();
    require(limbs.size() == ExactSum::kLimbs, "parameter_server: server {} has answered {} limbs", server,
            limbs.size());
    sum.merge(ExactSum::from_limbs(limbs.first<ExactSum::kLimbs>()));
  }
  return optim::norm_of(sum);
}

void ParameterServer::update(double clip_factor) {
  std::vector<Message> messages(static_cast<std::size_t>(plan_.servers));
  std::vector<std::vector<Array>> arrays(messages.size());
  const std::size_t dense = parameter_of_.size() - tables_->tables();
  for (int piece = 0; piece < plan_.scalars(); ++piece) {
    const sharding::VariablePiece& place = plan_.pieces[static_cast<std::size_t>(piece)];
    const auto variable = static_cast<std::size_t>(place.variable);
    const auto server = static_cast<std::size_t>(place.server);
    if (!used(variable)) {
      continue;
    }
    messages[server].entries.push_back({.piece = piece, .sparse = is_table(variable)});
    if (!is_sync() && is_table(variable)) {
      const SparseRows rows = rows_between(tables_->reduced(variable - dense), place.rows.begin, place.rows.end);
      arrays[server].insert(arrays[server].end(), {rows.rows, rows.values});
    } else if (!is_sync()) {
      arrays[server].push_back(rows_of_piece(gradients_->reduced(variable), piece));
    }
  }
  std::vector<std::uint64_t> requests;
  for (std::size_t server = 0; server < messages.size(); ++server) {
    Message& message = messages[server];
    message.kind = is_sync() ? Kind::apply : Kind::push_pull;
    message.step = step_;
    message.learning_rate = optimizer().learning_rate();
    message.factor = clip_factor;
    requests.push_back(client_->request(static_cast<int>(server), std::move(message), std::move(arrays[server])));
  }
  for (int server = 0; server < plan_.servers; ++server) {
    take_values(client_->wait(server, requests[static_cast<std::size_t>(server)]));
  }
  optimizer().set_steps(optimizer().steps() + 1);
  after_update();
}

void ParameterServer::after_update() { gradients_->begin_step(++step_); }

std::chrono::nanoseconds ParameterServer::time_waiting() { return client_->time_waiting(); }

std::uint64_t ParameterServer::bytes_moved() { return communicator().bytes_moved() + endpoint_.bytes_moved(); }

std::vector<sharding::StateTensor> ParameterServer::state() {
  std::vector<sharding::StateTensor> state;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].defined()) {
      state.push_back({"model." + parameters()[i].name, values_[i].shape(), 0, values_[i]});
    }
  }
  append_buffers(state);
  return state;
}

void ParameterServer::state_written() {
  require_usage(optimizer().steps() == 0,
                "parameter_server: parameters were written after step {}; that can be done before the "
                "first step only",
                step_ - 1);
  communicator().barrier({.name = "parameters written"}).wait();
  if (world().rank() == 0) {
    assign_own_values();
  }
  communicator().barrier({.name = "parameters assigned"}).wait();
  pull_all();
}

std::vector<WholeParameter> ParameterServer::whole_parameters() {
  std::vector<WholeParameter> whole;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    WholeParameter parameter{parameters()[i].name, parameters()[i].tensor.shape(), DType::f32,
                             [this, i] { return values_[i]; }};
    if (!values_[i].defined()) {
      const auto variable = static_cast<std::size_t>(std::ranges::find(parameter_of_, i) - parameter_of_.begin());
      parameter.rows = [this, variable](std::int64_t begin, std::int64_t end) {
        const Array rows = Array::empty({end - begin}, DType::i64);
        std::ranges::generate(rows.span<std::int64_t>(), [next = begin]() mutable { return next++; });
        return pull_rows(variable, rows).values;
      };
      parameter.value = [rows = parameter.rows, count = parameter.shape[0]] { return rows(0, count); };
    }
    whole.push_back(std::move(parameter));
  }
  std::ranges::sort(whole, {}, &WholeParameter::name);
  return whole;
}

}  // namespace trireme::strategies
