#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "trireme/strategies/strategy.h"

namespace trireme::strategies {

static_assert(std::endian::native == std::endian::little, "the hash is over little-endian bytes");

namespace {

constexpr std::int64_t kRowsAtOnce = 64 << 10;

class ParamsHash {
 public:
  ParamsHash() { XXH3_64bits_reset(state_.get()); }

  void begin(const std::string& name, DType type, const Shape& shape) {
    const std::string_view dtype = name_of(type);
    XXH3_64bits_update(state_.get(), name.data(), name.size());
    XXH3_64bits_update(state_.get(), dtype.data(), dtype.size());
    XXH3_64bits_update(state_.get(), shape.begin(), static_cast<std::size_t>(shape.dims()) * sizeof(std::int64_t));
  }
  void add(const Array& value) {
    const Array values = value.contiguous();
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
    hash.begin(parameter.name, parameter.tensor.dtype(), parameter.tensor.shape());
    hash.add(parameter.tensor.array());
  }
  return hash.digits();
}

std::string params_hash(Strategy& strategy) {
  ParamsHash hash;
  for (const WholeParameter& parameter : strategy.whole_parameters()) {
    hash.begin(parameter.name, parameter.dtype, parameter.shape);
    if (parameter.rows == nullptr) {
      hash.add(parameter.value());
      continue;
    }
    for (std::int64_t row = 0; row < parameter.shape[0]; row += kRowsAtOnce) {
      hash.add(parameter.rows(row, std::min(row + kRowsAtOnce, parameter.shape[0])));
    }
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
