#include "trireme/strategies/fully_sharded/unit_passes.h"

#include <algorithm>

#include "trireme/core/base/step_context.h"

namespace trireme::strategies {
namespace {

// Whether what runs now will be walked backward: it records, or its second run will.
bool trains() { return step_context().recording || step_context().recording_later; }
bool is_second_run() { return step_context().second_run != nullptr; }

}  // namespace

class UnitPasses::Hooks final : public nn::ModuleHooks {
 public:
  explicit Hooks(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  void before_forward(nn::Module& /*module*/) override { link_->passes->before_forward(link_->unit); }
  Tensor enter(nn::Module& /*module*/, const Tensor& input) override {
    return link_->passes->enter(link_->unit, input);
  }
  Tensor leave(nn::Module& /*module*/, const Tensor& output) override {
    return link_->passes->leave(link_->unit, output);
  }
  void after_forward(nn::Module& /*module*/, bool completed) noexcept override {
    link_->passes->after_forward(link_->unit, completed);
  }

 private:
  std::shared_ptr<Link> link_;
};

class UnitPasses::Token {
 public:
  explicit Token(std::shared_ptr<Link> link) : link_(std::move(link)) { ++link_->tapes; }
  Token(Token&& other) noexcept = default;
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;
  Token& operator=(Token&&) = delete;
  ~Token() {
    if (link_) {
      --link_->tapes;
    }
  }
  const Link& link() const { return *link_; }

 private:
  std::shared_ptr<Link> link_;
};

UnitPasses::UnitPasses(std::shared_ptr<const ShardMap> map, std::shared_ptr<ParameterHome> home,
                       std::unique_ptr<ShardedGradients> gradients, int rank, int world_size)
    : map_(std::move(map)),
      home_(std::move(home)),
      gradients_(std::move(gradients)),
      rank_(rank),
      world_size_(world_size),
      units_(map_->plan.units.size()) {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    units_[u].link = std::make_shared<Link>(Link{this, u, 0});
    map_->modules[u]->set_hooks(std::make_shared<Hooks>(units_[u].link));
    last_events_.emplace_back(Event::before_forward, u);  // a guess, until a pass has shown it
    if (u > 0) {
      last_events_.emplace_back(Event::after_forward, u);
    }
  }
  for (std::size_t u = units_.size(); u-- > 1;) {
    last_events_.emplace_back(Event::before_backward, u);
    last_events_.emplace_back(Event::after_backward, u);
  }
}

UnitPasses::~UnitPasses() {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    map_->modules[u]->set_hooks(nullptr);
    units_[u].link->passes = nullptr;
  }
}

void UnitPasses::record_event(Event event, std::size_t unit) {
  if (trains() || event == Event::before_backward || event == Event::after_backward) {
    events_.emplace_back(event, unit);
  }
  carry_out(event, unit);
}

void UnitPasses::before_forward(std::size_t u) {
  UnitPass& unit = units_[u];
  const bool first_run = trains() && !is_second_run();
  if (first_run && unit.link->tapes > 0) {
    fail_usage(
        "{} was used twice before backward(): the second forward pass would need its parameters while the "
        "gradients of the first are reduced; call backward() after each (inside strategy.no_sync() for all but "
        "the last), or make it no unit of its own (FullyShardedOptions::units)",
        map_->describe(u));
  }
  if (u == 0 && first_run) {
    events_.clear();
  }
  unit.seen = unit.seen || trains();
  record_event(Event::before_forward, u);
}

Tensor UnitPasses::enter(std::size_t u, const Tensor& input) {
  if (u == 0) {
    return input;
  }
  return record("unit input", input.array(), {&input},
                [token = Token(units_[u].link)](const Array& gradient, Gradients& gradients) {
                  gradients.add(0, gradient);
                  if (token.link().passes != nullptr) {
                    token.link().passes->after_backward(token.link().unit);
                  }
                });
}

Tensor UnitPasses::leave(std::size_t u, const Tensor& output) {
  if (u == 0) {
    return output;
  }
  if (!trains()) {
    home_->reshard(u);
    return output;
  }
  Tensor out = record("unit output", output.array(), {&output},
                      [token = Token(units_[u].link)](const Array& gradient, Gradients& gradients) {
                        gradients.add(0, gradient);
                        if (token.link().passes != nullptr) {
                          token.link().passes->before_backward(token.link().unit);
                        }
                      });
  out.set_weight(output.weight(), output.weight_depends_on_data());
  units_[u].announced = units_[u].announced || out.requires_grad();
  if (!is_second_run()) {  // whose backward follows at once
    record_event(Event::after_forward, u);
  }
  return out;
}

void UnitPasses::after_forward(std::size_t u, bool completed) noexcept {
  if (trains() && completed) {
    return;
  }
  for (std::size_t other = 0; other < units_.size(); ++other) {
    if (u == 0 || other == u) {
      home_->reshard(other);
    }
  }
}

void UnitPasses::before_backward(std::size_t u) {
  record_event(Event::before_backward, u);
  gradients_->open_unit(u);
}

void UnitPasses::after_backward(std::size_t u) {
  if (closed_) {
    gradients_->complete_unit(u);
  }
  record_event(Event::after_backward, u);
}

void UnitPasses::require_in_place() const {
  for (std::size_t i = 0; i < map_->parameters.size(); ++i) {
    require(home_->holds(i),
            "fully_sharded: parameter {} was given another array after prepare(); change its values through "
            "strategy.state(), or set it before prepare()",
            map_->parameters[i].name);
  }
}

void UnitPasses::open_leaf(const LeafPlace& place) {
  require(
      units_[0].seen,
      "backward: parameter {} has had no forward pass since prepare() or the last backward(): the loss was computed "
      "before, or by a module whose forward is not announced; call the module, or open nn::ForwardScope in a "
      "forward of its own",
      map_->parameters.front().name);
  require_in_place();
  plan_ = place.plan;
  last_leaf_ = place.last;
  ghosts_ = moves() ? most_leaves(*plan_) - static_cast<std::int64_t>(plan_->lanes.leaves.size()) : 0;
  gradients_->open_leaf(place, ghosts_ == 0);
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (units_[u].seen && !units_[u].announced) {
      gradients_->open_unit(u);
    }
  }
}

void UnitPasses::close_leaf() { closed_ = true; }

void UnitPasses::end_pass() {
  closed_ = false;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    units_[u].seen = false;
    units_[u].announced = false;
    home_->reshard(u);
  }
}

void UnitPasses::end_leaf(std::vector<bool>& used) {
  for (std::size_t t = 0; t < gradients_->trained().size(); ++t) {
    const TrainedParameter& parameter = gradients_->trained()[t];
    const std::size_t u = map_->plan.unit_of[parameter.index];
    require(units_[u].seen || !parameter.leaf->as_leaf()->gradient().defined(),
            "backward: a gradient of parameter {} has come without a forward pass of its unit; call the module, not "
            "its forward()",
            parameter.name);
  }
  gradients_->complete_all();
  used.resize(gradients_->trained().size());
  for (std::size_t t = 0; t < used.size(); ++t) {
    used[t] = gradients_->used(t);
  }
  end_pass();
  std::swap(events_, last_events_);
  events_.clear();
  if (last_leaf_) {
    run_ghosts(ghosts_);
  }
}

void UnitPasses::reduce_without_parts(const StepPlan& plan) {
  gradients_->open_without_parts(plan, !moves());
  run_ghosts(moves() ? most_leaves(plan) : 0);
}

void UnitPasses::finish() {
  gradients_->finish();
  home_->settle();
  if (!order_known_) {
    learn_order();
  }
}

}  // namespace trireme::strategies
