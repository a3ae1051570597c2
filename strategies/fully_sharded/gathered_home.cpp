// The gathered home: a rank keeps its rows of every parameter; a unit's parameters are gathered into one buffer when
// they are needed.
//
// The tensors are views of places (core/array/storage.h) that have memory while the unit is whole; to use one at
// another time is an error that names it. Stages 1 and 2 keep every unit's buffer, of which the rank's rows are a part,
// and renew it once a step (of sparse tables the touched rows); stage 3 takes buffers from a pool.
#include <algorithm>

#include "trireme/sharding/shard_rows.h"
#include "trireme/strategies/fully_sharded/buffer_pool.h"
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/fully_sharded/parameter_home.h"
#include "trireme/strategies/fully_sharded/touched_rows.h"

namespace trireme::strategies {
namespace {

// As FSDP2 names them; `gathering` lies between the last two.
enum class UnitState : std::uint8_t { sharded, sharded_post_forward, gathering, unsharded };

class GatheredHome final : public ParameterHome {
 public:
  GatheredHome(std::shared_ptr<comm::Communicator> group, const ShardMap& map, const HomeOptions& options);

  const Array& rows(std::size_t i) const override { return masters_[i].defined() ? masters_[i] : rows_[i]; }
  void adopt() override;
  void publish(Touched touched) override;
  Array whole(std::size_t i) override;
  bool holds(std::size_t i) const override {
    return map_.parameters[i].tensor.array().storage().get() == places_[i].get();
  }
  std::uint64_t bytes_moved_apart() const override {
    return post_forward_group_ == nullptr ? 0 : post_forward_group_->bytes_moved();
  }
  bool moves_in_steps() const override { return !keeps_whole_; }
  void start_unshard(std::size_t unit) override;
  void unshard(std::size_t unit) override;
  void reshard_after_forward(std::size_t unit) override;
  void reshard(std::size_t unit) noexcept override;
  void settle() override;

 private:
  struct Unit {
    UnitState state = UnitState::sharded;
    Array buffer;                   // while gathering and unsharded; stages 1 and 2: always
    Array kept;                     // post forward: the rows of the smaller group, side by side
    std::vector<comm::Work> works;  // while gathering; kept for its capacity
    std::vector<TouchedRows> rows;  // while gathering: of sparse tables
    bool trained = false;           // has parameters that change
  };

  void place_tensors();
  void take_back_lent();
  void keep_rows(std::size_t unit);
  void attach(std::size_t unit);
  void detach(std::size_t unit) noexcept;
  Array view(std::size_t unit, const sharding::UnitParameter& parameter) const {
    return view_at(units_[unit].buffer, map_.byte_offsets[parameter.index], {parameter.row_offsets.back()},
                   map_.dtypes[parameter.index]);
  }
  sharding::RowRange kept_range(const sharding::UnitParameter& parameter) const;
  Array kept_view(const Unit& unit, std::int64_t offset, const sharding::UnitParameter& parameter) const {
    return view_at(unit.kept, offset, {kept_range(parameter).size()}, map_.dtypes[parameter.index]);
  }

  std::shared_ptr<comm::Communicator> group_;
  std::shared_ptr<comm::Communicator> post_forward_group_;  // null: reshard_after_forward is true or false
  const ShardMap& map_;
  bool keeps_whole_;
  bool stays_after_forward_;
  BufferPool pool_;
  Array lent_;  // a unit's buffer, in which somebody looks at the whole value of a parameter between steps
  std::vector<Unit> units_;
  Touched touched_;                                              // by the last step
  std::vector<StorageRef> places_;                               // [parameter]
  std::vector<std::string> names_;                               // [parameter]: of its gathers
  std::vector<Array> rows_;                                      // [parameter]: own rows, that gathers send
  std::vector<Array> masters_;                                   // own rows of the optimizer; undefined: they are those
  std::vector<std::vector<std::int64_t>> post_forward_offsets_;  // [parameter]
};

GatheredHome::GatheredHome(std::shared_ptr<comm::Communicator> group, const ShardMap& map, const HomeOptions& options)
    : group_(std::move(group)),
      map_(map),
      keeps_whole_(options.zero_stage < 3),
      stays_after_forward_(options.reshard_group == 1),
      pool_(group_, DType::u8),
      units_(map.plan.units.size()),
      masters_(make_masters(map, options.separate_masters)) {
  const int smaller = options.reshard_group;
  if (!keeps_whole_ && smaller > 1 && smaller < map.group_size) {
    post_forward_group_ = group_->split(map.place / smaller, map.place);
    for (const nn::NamedParameter& parameter : map.parameters) {
      post_forward_offsets_.push_back(sharding::row_offsets(parameter.tensor.shape(), smaller));
    }
  }
  if (!keeps_whole_) {
    rows_ = make_own_rows(
        map, [&](std::size_t i) { return std::optional(map.dtypes[i]); },
        [&](std::int64_t bytes) {
          const Array block = group_->allocate({bytes}, DType::u8);
          block.fill(0);
          return block;
        });
  } else {
    rows_.resize(map.parameters.size());
  }
  place_tensors();
}

void GatheredHome::place_tensors() {
  places_.resize(map_.parameters.size());
  names_.resize(map_.parameters.size());
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const sharding::Unit& unit = map_.plan.units[u];
    if (keeps_whole_) {
      units_[u].buffer = pool_.take(map_.unit_bytes[u]);
      units_[u].buffer.fill(0);
    }
    for (const sharding::UnitParameter& parameter : unit.parameters) {
      const nn::NamedParameter& named = map_.parameters[parameter.index];
      units_[u].trained |= named.tensor.requires_grad();
      names_[parameter.index] = "unshard " + named.name;
      if (keeps_whole_) {
        const ShardMap::Piece own = map_.own(parameter.index);
        rows_[parameter.index] = view(u, parameter).narrow(0, own.first, own.count);
      }
      places_[parameter.index] = Storage::place(
          static_cast<std::size_t>(named.tensor.count()) * size_of(map_.dtypes[parameter.index]),
          [name = named.name, path = unit.path] {
            fail(
                "parameter {} is sharded: it was used outside the forward and backward passes of {}; call the module "
                "(or open nn::ForwardScope in a forward of its own), or ask strategy.full_parameters() for the whole "
                "value",
                name, path.empty() ? "the model" : "its unit " + path);
          });
    }
  }
}

void GatheredHome::adopt() {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    Tensor handle = map_.parameters[i].tensor;
    handle.set_compute_value(Array::over(places_[i], 0, handle.shape(), map_.dtypes[i]));
  }
  publish(std::nullopt);
}

void GatheredHome::publish(Touched touched) {
  for (std::size_t i = 0; i < masters_.size(); ++i) {
    show_masters(map_, i, touched, masters_[i], rows_[i]);
  }
  touched_ = std::move(touched);
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (!keeps_whole_) {
      reshard(u);
    } else if (!touched_ || units_[u].trained) {
      detach(u);
      units_[u].state = UnitState::sharded;
    }
  }
  if (keeps_whole_) {  // each unit is waited for where it is used first: the next forward goes on meanwhile
    for (std::size_t u = 0; u < units_.size(); ++u) {
      start_unshard(u);
    }
  }
}

void GatheredHome::settle() {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (units_[u].state == UnitState::gathering) {
      unshard(u);
      reshard(u);
    }
  }
}

sharding::RowRange GatheredHome::kept_range(const sharding::UnitParameter& parameter) const {
  const std::vector<std::int64_t>& offsets = post_forward_offsets_[parameter.index];
  const auto place = static_cast<std::size_t>(post_forward_group_->rank());
  return {offsets[place], offsets[place + 1]};
}

void GatheredHome::take_back_lent() {
  if (lent_.defined()) {
    pool_.give(std::move(lent_));
    lent_ = Array();
  }
}

void GatheredHome::start_unshard(std::size_t u) {
  take_back_lent();
  Unit& unit = units_[u];
  if (unit.state == UnitState::gathering || unit.state == UnitState::unsharded) {
    return;
  }
  if (!unit.buffer.defined()) {
    unit.buffer = pool_.take(map_.unit_bytes[u]);
  }
  std::int64_t kept_offset = 0;
  for (const sharding::UnitParameter& parameter : map_.plan.units[u].parameters) {
    if (keeps_whole_ && touched_ && map_.parameters[parameter.index].sparse) {
      const Array& numbers = (*touched_)[parameter.index];
      if (numbers.defined()) {
        unit.rows.emplace_back(*group_, map_, parameter.index, numbers, rows_[parameter.index],
                               names_[parameter.index]);
      }
      continue;
    }
    const Array output = view(u, parameter);
    const comm::OpOptions options{.name = names_[parameter.index]};
    if (unit.state == UnitState::sharded) {
      unit.works.push_back(group_->all_gather_v(rows_[parameter.index], output, parameter.row_offsets, options));
      continue;
    }
    const Array rows = kept_view(unit, kept_offset, parameter);
    unit.works.push_back(
        post_forward_group_->all_gather_v(rows, output, post_forward_offsets_[parameter.index], options));
    kept_offset += padded_bytes(rows.count(), rows.dtype());
  }
  unit.state = UnitState::gathering;
}

void GatheredHome::unshard(std::size_t u) {
  start_unshard(u);
  Unit& unit = units_[u];
  if (unit.state == UnitState::gathering) {
    for (comm::Work& work : unit.works) {
      work.wait();
    }
    unit.works.clear();
    for (TouchedRows& rows : unit.rows) {
      rows.finish(view(u, map_.placement(rows.parameter())));
    }
    unit.rows.clear();
    if (unit.kept.defined()) {
      pool_.give(std::exchange(unit.kept, Array()));
    }
    attach(u);
  }
}

void GatheredHome::attach(std::size_t u) {
  for (const sharding::UnitParameter& parameter : map_.plan.units[u].parameters) {
    places_[parameter.index]->attach(view(u, parameter));
  }
  units_[u].state = UnitState::unsharded;
}

void GatheredHome::detach(std::size_t u) noexcept {
  for (const sharding::UnitParameter& parameter : map_.plan.units[u].parameters) {
    places_[parameter.index]->detach();
  }
}

void GatheredHome::reshard(std::size_t u) noexcept {
  Unit& unit = units_[u];
  if (keeps_whole_ || unit.state != UnitState::unsharded) {
    return;
  }
  detach(u);
  pool_.give(std::exchange(unit.buffer, Array()));
  unit.state = UnitState::sharded;
}

void GatheredHome::reshard_after_forward(std::size_t u) {
  if (keeps_whole_ || stays_after_forward_ || units_[u].state != UnitState::unsharded) {
    return;
  }
  if (post_forward_group_ == nullptr) {
    reshard(u);
    return;
  }
  keep_rows(u);
  reshard(u);
  units_[u].state = UnitState::sharded_post_forward;
}

// What the smaller group's gather will want of this rank.
void GatheredHome::keep_rows(std::size_t u) {
  std::int64_t bytes = 0;
  for (const sharding::UnitParameter& parameter : map_.plan.units[u].parameters) {
    bytes += padded_bytes(kept_range(parameter).size(), map_.dtypes[parameter.index]);
  }
  units_[u].kept = pool_.take(bytes);
  std::int64_t offset = 0;
  for (const sharding::UnitParameter& parameter : map_.plan.units[u].parameters) {
    const sharding::RowRange range = kept_range(parameter);
    const Array rows = kept_view(units_[u], offset, parameter);
    rows.copy_from(view(u, parameter).narrow(0, range.begin, range.size()));
    offset += padded_bytes(rows.count(), rows.dtype());
  }
}

Array GatheredHome::whole(std::size_t i) {
  if (map_.dtypes[i] != DType::f32) {
    return gather_rows(*group_, map_, i, rows(i));
  }
  const std::size_t u = map_.plan.unit_of[i];
  const sharding::UnitParameter& parameter = map_.placement(i);
  const Shape& shape = map_.parameters[i].tensor.shape();
  if (keeps_whole_) {
    unshard(u);
    return view(u, parameter).reshape(shape);
  }
  take_back_lent();
  lent_ = pool_.take(map_.unit_bytes[u]);
  const Array value = view_at(lent_, map_.byte_offsets[i], {parameter.row_offsets.back()}, DType::f32);
  group_->all_gather_v(rows(i), value, parameter.row_offsets, {.name = names_[i]}).wait();
  return value.reshape(shape);
}

}  // namespace

std::unique_ptr<ParameterHome> make_gathered_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                                  const HomeOptions& options) {
  return std::make_unique<GatheredHome>(std::move(group), map, options);
}

}  // namespace trireme::strategies
