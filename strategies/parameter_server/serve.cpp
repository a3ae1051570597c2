#include <fmt/ranges.h>

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"
#include "trireme/strategies/parameter_server/parameter_server.h"
#include "trireme/strategies/parameter_server/server/server.h"

namespace trireme::strategies::parameter_server {
namespace {

using Time = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{1000};  // how often a server that hears nothing looks at the time

// A worker that takes nothing any more is about to be lost: that must not hold up the others for ever.
void send(Endpoint& endpoint, Outbox& out, std::chrono::milliseconds timeout) {
  for (Outgoing& outgoing : out) {
    const int worker = outgoing.to.index;
    if (!endpoint.send(outgoing.to, std::move(outgoing.parcel), Time::now() + timeout)) {
      log::warning("server {}: worker {} has taken nothing for {} ms; its answer is dropped", endpoint.self().index,
                   worker, timeout.count());
    }
  }
  out.clear();
}

// Once for each death.
void tell_of_deaths(const Server& server, int self, std::vector<bool>& told) {
  for (std::size_t worker = 0; worker < told.size(); ++worker) {
    const std::string& death = server.death_of(static_cast<int>(worker));
    if (!death.empty() && !told[worker]) {
      log::warning("server {}: {}", self, death);
    }
    told[worker] = !death.empty();
  }
}

}  // namespace

Plan plan_for(const nn::Module& model, const optim::Optimizer& optimizer, int workers,
              const ParameterServerOptions& options) {
  std::vector<Variable> variables;
  for (const nn::NamedParameter& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) {
      variables.push_back({parameter.name, parameter.tensor.shape(), parameter.init, parameter.sparse});
    }
  }
  std::ranges::stable_partition(variables, [](const Variable& variable) { return !variable.sparse; });
  const sharding::Partitioner partitioner =
      options.partitioner.value_or(sharding::MinSize{.max_shards = options.servers});
  Plan plan = Plan::make(std::move(variables), options.servers, workers, partitioner);
  plan.consistency = options.consistency;
  plan.staleness = options.staleness;
  plan.seed = options.seed;
  plan.optimizer = fmt::format("optimizer with {}", fmt::join(optimizer.state_names(), ", "));
  return plan;
}

void serve(Endpoint& endpoint, const Plan& plan, optim::Optimizer& optimizer, const ServeOptions& options) {
  Server server(plan, optimizer, {.index = endpoint.self().index, .lease = options.lease});
  const Time::time_point all_here = Time::now() + options.timeout;
  Outbox out;
  std::vector<bool> told(static_cast<std::size_t>(plan.workers));
  while (!server.finished()) {
    const Time::time_point look = Time::now() + kLook;
    Endpoint::Event event = endpoint.receive(std::min(look, server.next_tick().value_or(look)));
    server.handle(Time::now(), std::move(event), out);
    server.tick(Time::now(), out);
    send(endpoint, out, options.timeout);
    tell_of_deaths(server, endpoint.self().index, told);
    const std::optional<int> missing = server.missing();
    require(!missing || Time::now() < all_here, "server {}: worker {} has not said hello within {} ms; was it started?",
            endpoint.self().index, missing.value_or(0), options.timeout.count());
  }
}

}  // namespace trireme::strategies::parameter_server
