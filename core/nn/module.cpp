#include "trireme/core/nn/module.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::nn {
namespace {

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() || name.empty() ? prefix + name : prefix + "." + name;
}

void require_name(const std::string& name, const char* what) {
  require(!name.empty(), "Module: a {} without a name was registered; give it one", what);
}

}  // namespace

// Copies of a Tensor share its value, so the value's address says whether two handles are the same leaf.
bool same_leaf(const Tensor& a, const Tensor& b) { return &a.array() == &b.array(); }

Tensor Module::forward(const Tensor& /*input*/) {
  fail("forward: module '{}' does not map one tensor to one tensor; call the forward pass that its header names",
       path());
}

Tensor Module::add_parameter(std::string name, const Shape& shape, Init init, DType dtype, bool sparse) {
  require_name(name, "parameter");
  Tensor tensor = Tensor::leaf(Array::deferred(shape, dtype));
  if (sparse) {
    require(shape.dims() == 2 && dtype == DType::f32, "add_parameter: sparse '{}' of {}{} given, an f32 table expected",
            name, name_of(dtype), shape);
    tensor.leaf_node().keep_rows();
  }
  state_->parameters.push_back({{std::move(name), tensor, init, sparse}, false});
  return tensor;
}

void Module::tie_parameter(std::string name, const Tensor& tensor) {
  require_name(name, "parameter");
  require(tensor.defined() && tensor.is_leaf(), "tie_parameter: '{}' is not a parameter of another module", name);
  state_->parameters.push_back({{std::move(name), tensor, {}, false}, true});
}

NamedBuffer Module::add_buffer(std::string name, Array array, double momentum) {
  require_name(name, "buffer");
  NamedBuffer buffer{std::move(name), std::move(array), nullptr};
  if (momentum > 0) {
    buffer.observation = std::make_shared<Observation>();
    buffer.observation->value = Array::empty(buffer.array.shape(), buffer.array.dtype());
    buffer.observation->momentum = momentum;
  }
  state_->buffers.push_back(buffer);
  return buffer;
}

void Module::add_child(std::string name, std::shared_ptr<Module> child) {
  require_name(name, "child");
  child->move_below(name);
  child->state_->self = child;
  state_->children.emplace_back(std::move(name), std::move(child));
}

void Module::move_below(const std::string& parent) {
  state_->path = joined(parent, state_->path);
  for (const auto& [name, child] : state_->children) {
    child->move_below(parent);
  }
}

void Module::collect_parameters(const std::string& prefix, std::vector<Entry>& out) const {
  for (const Entry& entry : state_->parameters) {
    out.push_back(entry);
    out.back().parameter.name = joined(prefix, entry.parameter.name);
  }
  for (const auto& [name, child] : state_->children) {
    child->collect_parameters(joined(prefix, name), out);
  }
}

void Module::collect_buffers(const std::string& prefix, std::vector<NamedBuffer>& out) const {
  for (const NamedBuffer& buffer : state_->buffers) {
    out.push_back(buffer);
    out.back().name = joined(prefix, buffer.name);
  }
  for (const auto& [name, child] : state_->children) {
    child->collect_buffers(joined(prefix, name), out);
  }
}

std::vector<NamedParameter> Module::parameters() const {
  std::vector<Entry> entries;
  collect_parameters("", entries);
  std::vector<NamedParameter> unique;
  for (const Entry& entry : entries) {
    const auto known = std::find_if(unique.begin(), unique.end(), [&](const NamedParameter& other) {
      return same_leaf(other.tensor, entry.parameter.tensor);
    });
    if (known == unique.end()) {
      unique.push_back(entry.parameter);
    } else if (!entry.tied) {  // the owner's rules hold, whichever name comes first
      known->init = entry.parameter.init;
      known->sparse = entry.parameter.sparse;
    }
  }
  return unique;
}

std::vector<NamedParameter> Module::parameters_and_ties() const {
  std::vector<Entry> entries;
  collect_parameters("", entries);
  std::vector<NamedParameter> all;
  for (Entry& entry : entries) {
    all.push_back(std::move(entry.parameter));
  }
  return all;
}

std::vector<NamedBuffer> Module::buffers() const {
  std::vector<NamedBuffer> out;
  collect_buffers("", out);
  return out;
}

std::vector<std::pair<std::string, std::shared_ptr<Module>>> Module::children() const { return state_->children; }

void Module::initialize(std::uint64_t seed) {
  for (NamedParameter& parameter : parameters()) {
    if (!parameter.tensor.array().defined()) {
      const Array value = Array::empty(parameter.tensor.shape(), parameter.tensor.dtype());
      parameter.init.fill(seed, parameter.name, 0, value);
      parameter.tensor.set_value(value);
    }
  }
}

void Module::train(bool on) {
  state_->training = on;
  for (const auto& [name, child] : state_->children) {
    child->train(on);
  }
}

}  // namespace trireme::nn
