// Module: a named tree of parameters and the forward pass over them.
//
// Modules are called like functions. forward() is what a module does; calling it by that name leaves out what was set
// on the module from outside (hooks, activation checkpointing).
//
// A module is a handle: copying one shares its parameters, as copying a Tensor does. Parameters exist as shapes with a
// rule for their first values until initialize() (or strategy.prepare()) gives them storage, so a model may be larger
// than this process's memory until it is sharded.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trireme/core/autograd/tensor.h"

namespace trireme::nn {

// How a parameter begins: a pure function of (seed, parameter name, element), so any slice can be made anywhere.
struct Init {
  enum class Kind : std::uint8_t { constant, normal, uniform } kind = Kind::constant;
  double a = 0;  // constant: the value; normal: the mean; uniform: the lower bound
  double b = 0;  // normal: the standard deviation; uniform: the upper bound

  static Init constant(double value) { return {Kind::constant, value, 0}; }
  static Init normal(double mean, double deviation) { return {Kind::normal, mean, deviation}; }
  static Init uniform(double low, double high) { return {Kind::uniform, low, high}; }

  // Writes elements [first, first + out.count()) of the parameter `name` (row-major order) into `out` (f32).
  void fill(std::uint64_t seed, std::string_view name, std::int64_t first, const Array& out) const;
};

struct NamedParameter {
  std::string name;  // "transformer.h.0.attn.c_attn.weight"
  Tensor tensor;     // a leaf; deferred until initialized
  Init init;
  bool sparse = false;  // an embedding table with lazy row updates
};

// What a forward pass saw of a running statistic, until the strategy has taken it: running statistics move once a step,
// from the mean over all lanes, so that they are the same for every world size.
struct Observation {
  Array value;                // same shape as the buffer; written by forward() in training
  bool fresh = false;         // set by forward(), cleared by whoever has taken the value
  double momentum = 0;        // buffer = (1 - momentum) * buffer + momentum * mean over lanes
  bool synchronized = false;  // the value is that of the global batch: forward() exchanges it between ranks
};

// State that is not trained (running statistics). Always materialized.
struct NamedBuffer {
  std::string name;
  Array array;
  std::shared_ptr<Observation> observation;  // null: a constant buffer
};

class ModuleHooks;

// True if both are handles of one leaf.
bool same_leaf(const Tensor& a, const Tensor& b);

// A child module that is called like a function: nn::Child<nn::Linear> fc = add("fc", nn::Linear(4, 2)); ... fc(x).
template <class M>
class Child {
 public:
  Child() = default;
  explicit Child(std::shared_ptr<M> module) : module_(std::move(module)) {}
  template <class... Args>
  auto operator()(Args&&... args) const {
    return (*module_)(std::forward<Args>(args)...);
  }
  M* operator->() const { return module_.get(); }
  M& operator*() const { return *module_; }

 private:
  std::shared_ptr<M> module_;
};

class Module {
 public:
  Module() : state_(std::make_shared<State>()) {}
  virtual ~Module() = default;
  Module(const Module&) = default;
  Module& operator=(const Module&) = default;

  // Raises Error for modules that take something else than one tensor; those have a forward of their own.
  virtual Tensor forward(const Tensor& input);
  // forward() with the hooks of this module around it, and without keeping activations if they are checkpointed. Costs
  // one branch where neither is set.
  Tensor operator()(const Tensor& input) { return state_->watched ? call(input) : forward(input); }

  // All parameters, children first to last, names joined by dots. A parameter registered twice (tied) appears once,
  // under its first name.
  std::vector<NamedParameter> parameters() const;
  // As parameters(), but with every name under which a leaf was registered: a tied leaf several times.
  std::vector<NamedParameter> parameters_and_ties() const;
  std::vector<NamedBuffer> buffers() const;
  // Direct children in order of registration, with their names: where units are looked for (core/nn/units.h).
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children() const;

  // Gives every parameter that has no values yet its first ones.
  void initialize(std::uint64_t seed);
  // Switches dropout and batch statistics between training (the default) and evaluation, in this module and below.
  void train(bool on = true);
  bool training() const { return state_->training; }
  // Where this module stands in its model, as the prefix of its parameters' names: "transformer.h.0.attn". Empty for a
  // root. Known from the moment that each parent up to the root has added its child.
  const std::string& path() const { return state_->path; }

  // True if this module's parameters and activations are best handled together: gathered, freed, computed again.
  bool is_unit() const { return state_->unit; }
  // What runs around each call of this module (core/nn/hooks.h); null removes it.
  void set_hooks(std::shared_ptr<ModuleHooks> hooks);
  const std::shared_ptr<ModuleHooks>& hooks() const { return state_->hooks; }
  // Calls of this module keep their input only; backward runs forward() again (core/autograd/checkpoint.h), with the
  // same bits. For modules that map one tensor to one tensor and do the same each time. Raises a usage Error on a root:
  // with its whole forward pass computed again at once nothing would be saved.
  void set_activation_checkpointing(bool on);
  bool activation_checkpointing() const { return state_->checkpointing; }

 protected:
  // Says in a constructor that this module is a unit: a transformer block, a residual block.
  void mark_as_unit() { state_->unit = true; }
  Tensor add_parameter(std::string name, const Shape& shape, Init init, DType dtype = DType::f32, bool sparse = false);
  // Registers the same leaf under a second name (weight tying); it is initialized and saved under the first.
  void tie_parameter(std::string name, const Tensor& tensor);
  NamedBuffer add_buffer(std::string name, Array array, double momentum = 0);  // momentum > 0: with an observation
  template <std::derived_from<Module> M>
  Child<M> add(std::string name, M module) {
    auto child = std::make_shared<M>(std::move(module));
    add_child(std::move(name), child);
    return Child<M>(std::move(child));
  }
  void add_child(std::string name, std::shared_ptr<Module> child);

 private:
  struct Entry {
    NamedParameter parameter;
    bool tied = false;  // a second name of a leaf that another entry owns
  };
  struct State {
    bool training = true;
    bool unit = false;
    bool checkpointing = false;
    bool watched = false;  // hooks or checkpointing
    std::string path;
    std::weak_ptr<Module> self;  // as its parent holds it; null for a root
    std::shared_ptr<ModuleHooks> hooks;
    std::vector<Entry> parameters;
    std::vector<NamedBuffer> buffers;
    std::vector<std::pair<std::string, std::shared_ptr<Module>>> children;
  };
  void collect_parameters(const std::string& prefix, std::vector<Entry>& out) const;
  void collect_buffers(const std::string& prefix, std::vector<NamedBuffer>& out) const;
  void move_below(const std::string& parent);
  Tensor call(const Tensor& input);
  Tensor call_checkpointed(const Tensor& input);

  std::shared_ptr<State> state_;
};

}  // namespace trireme::nn
