// First values of parameters: made tile by tile, so that any slice of any parameter has the same bits.
#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/base/random.h"
#include "trireme/core/nn/module.h"

namespace trireme::nn {
namespace {

constexpr std::int64_t kTile = 16 << 10;

void fill_tile(const Init& init, const RandomStream& stream, std::int64_t first, std::span<float> out) {
  if (init.kind == Init::Kind::constant) {
    std::fill(out.begin(), out.end(), static_cast<float>(init.a));
    return;
  }
  const bool normal = init.kind == Init::Kind::normal;
  const auto offset = static_cast<float>(init.a);
  const auto scale = static_cast<float>(normal ? init.b : init.b - init.a);
  if (normal) {
    stream.fill_normal(static_cast<std::uint64_t>(first), out);
  } else {
    stream.fill_uniform(static_cast<std::uint64_t>(first), out);
  }
  for (float& value : out) {
    value = offset + scale * value;
  }
}

}  // namespace

void Init::fill(std::uint64_t seed, std::string_view name, std::int64_t first, const Array& out) const {
  require(out.is_contiguous() && out.defined(),
          "Init::fill: a contiguous array with storage expected for '{}', {} given", name, out);
  if (out.dtype() != DType::f32) {  // other types are rounded from the same f32 values
    const Array values = Array::empty(out.shape());
    fill(seed, name, first, values);
    out.copy_from(values);
    return;
  }
  const RandomStream stream(seed, name);
  const std::span<float> all = out.span<float>();
  parallel_for(out.count(), kTile, [&](std::int64_t begin, std::int64_t end) {
    fill_tile(*this, stream, first + begin,
              all.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  });
}

}  // namespace trireme::nn
