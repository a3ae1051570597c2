#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "trireme/strategies/strategy.h"

namespace trireme::strategies {

static_assert(std::endian::native == std::endian::little, "the hash is over little-endian bytes");

std::string params_hash(std::vector<nn::NamedParameter> parameters) {
  std::sort(parameters.begin(), parameters.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  for (const nn::NamedParameter& parameter : parameters) {
    const Array values = parameter.tensor.array().contiguous();
    const std::string_view dtype = name_of(values.dtype());
    XXH3_64bits_update(state.get(), parameter.name.data(), parameter.name.size());
    XXH3_64bits_update(state.get(), dtype.data(), dtype.size());
    XXH3_64bits_update(state.get(), values.shape().begin(),
                       static_cast<std::size_t>(values.dims()) * sizeof(std::int64_t));
    XXH3_64bits_update(state.get(), values.bytes_data(), values.bytes());
  }
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace trireme::strategies
