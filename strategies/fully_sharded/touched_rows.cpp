#include "trireme/strategies/fully_sharded/touched_rows.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace trireme::strategies {
namespace {

void copy_row(const float* from, float* to, std::int64_t width) {
  std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
}

}  // namespace

TouchedRows::TouchedRows(comm::Communicator& group, const ShardMap& map, std::size_t parameter, const Array& numbers,
                         const Array& own, std::string_view name)
    : parameter_(parameter),
      width_(map.parameters[parameter].tensor.size(1)),
      numbers_(numbers),
      values_(Array::empty({numbers.count() * width_})) {
  const auto rows = numbers.span<std::int64_t>();
  std::vector<std::int64_t> offsets;  // who owns which of them follows from their numbers
  for (const std::int64_t first : map.placement(parameter).row_offsets) {
    offsets.push_back((std::ranges::lower_bound(rows, first / width_) - rows.begin()) * width_);
  }
  const auto place = static_cast<std::size_t>(map.place);
  const Array mine = Array::empty({offsets[place + 1] - offsets[place]});
  const float* from = own.data<float>() - map.own(parameter).first;
  for (std::int64_t i = 0; i < mine.count(); i += width_) {
    const std::int64_t row = rows[static_cast<std::size_t>((offsets[place] + i) / width_)];
    copy_row(from + row * width_, mine.data<float>() + i, width_);
  }
  work_ = group.all_gather_v(mine, values_, offsets, {.name = name});
}

void TouchedRows::finish(const Array& table) {
  work_.wait();
  float* to = table.data<float>();
  const float* from = values_.data<float>();
  for (const std::int64_t row : numbers_.span<std::int64_t>()) {
    copy_row(from, to + row * width_, width_);
    from += width_;
  }
}

void show_masters(const ShardMap& map, std::size_t parameter, const ParameterHome::Touched& touched,
                  const Array& masters, const Array& shown) {
  const nn::NamedParameter& named = map.parameters[parameter];
  if (!masters.defined() || (touched && !named.tensor.requires_grad())) {
    return;
  }
  if (!touched || !named.sparse) {
    shown.copy_from(masters);
    return;
  }
  const Array& numbers = (*touched)[parameter];
  const std::int64_t width = named.tensor.size(1);
  const ShardMap::Piece own = map.own(parameter);
  for (std::int64_t i = 0; numbers.defined() && i < numbers.count(); ++i) {
    const std::int64_t begin = numbers.data<std::int64_t>()[i] * width - own.first;
    if (begin >= 0 && begin < own.count) {
      copy_row(masters.data<float>() + begin, shown.data<float>() + begin, width);
    }
  }
}

}  // namespace trireme::strategies
