#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "trireme/strategies/strategy.h"

namespace trireme::strategies {

static_assert(std::endian::native == std::endian::little, "the hash is over little-endian bytes");

namespace {

class ParamsHash {
 public:
  ParamsHash() { XXH3_64bits_reset(state_.get()); }

  void add(const std::string& name, const Array& value) {
    const Array values = value.contiguous();
    const std::string_view dtype = name_of(values.dtype());
    XXH3_64bits_update(state_.get(), name.data(), name.size());
    XXH3_64bits_update(state_.get(), dtype.data(), dtype.size());
    XXH3_64bits_update(state_.get(), values.shape().begin(),
                       static_cast<std::size_t>(values.dims()) * sizeof(std::int64_t));
    XXH3_64bits_update(state_.get(), values.bytes_data(), values.bytes());
  }
  std::string digits() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_{XXH3_createState(), XXH3_freeState};
};

}  // namespace

std::string params_hash(std::vector<nn::NamedParameter> parameters) {
  std::sort(parameters.begin(), parameters.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  ParamsHash hash;
  for (const nn::NamedParameter& parameter : parameters) {
    hash.add(parameter.name, parameter.tensor.array());
  }
  return hash.digits();
}

std::string params_hash(Strategy& strategy) {
  ParamsHash hash;
  for (const WholeParameter& parameter : strategy.whole_parameters()) {
    hash.add(parameter.name, parameter.value());
  }
  return hash.digits();
}

std::vector<nn::NamedParameter> Strategy::full_parameters() {
  std::vector<nn::NamedParameter> all;
  for (const WholeParameter& parameter : whole_parameters()) {
    all.push_back({.name = parameter.name, .tensor = Tensor(parameter.value().clone()), .init = {}});
  }
  return all;
}

}  // namespace trireme::strategies
