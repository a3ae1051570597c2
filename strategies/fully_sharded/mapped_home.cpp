// The mapped home: all parameters in one block of memory that the ranks of the group share.
//
// No rank may write its rows while another still reads them in backward: updates come after a collective that all ranks
// start when their backward passes are over (the step's scalars). And none may read before all have written: that is
// the barrier in publish().
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/fully_sharded/parameter_home.h"
#include "trireme/strategies/fully_sharded/touched_rows.h"

namespace trireme::strategies {
namespace {

class MappedHome final : public ParameterHome {
 public:
  MappedHome(std::shared_ptr<comm::Communicator> group, const ShardMap& map, const Array& block, bool separate_masters)
      : group_(std::move(group)),
        map_(map),
        wholes_(map.parameters.size()),
        masters_(make_masters(map, separate_masters)) {
    std::int64_t begin = 0;
    for (std::size_t u = 0; u < map.plan.units.size(); ++u) {
      for (const sharding::UnitParameter& parameter : map.plan.units[u].parameters) {
        const std::size_t i = parameter.index;
        wholes_[i] = view_at(block, begin + map.byte_offsets[i], map.parameters[i].tensor.shape(), map.dtypes[i]);
      }
      begin += map.unit_bytes[u];
    }
    for (std::size_t i = 0; i < wholes_.size(); ++i) {
      const ShardMap::Piece own = map.own(i);
      shown_.push_back(wholes_[i].flatten().narrow(0, own.first, own.count));
    }
  }

  const Array& rows(std::size_t i) const override { return masters_[i].defined() ? masters_[i] : shown_[i]; }

  void adopt() override {
    for (std::size_t i = 0; i < wholes_.size(); ++i) {
      Tensor handle = map_.parameters[i].tensor;
      handle.set_compute_value(wholes_[i]);
    }
    publish(std::nullopt);
  }

  void publish(Touched touched) override {
    for (std::size_t i = 0; i < masters_.size(); ++i) {
      show_masters(map_, i, touched, masters_[i], shown_[i]);
    }
    group_->barrier({.name = "parameters updated"}).wait();
  }

  Array whole(std::size_t i) override {
    return map_.dtypes[i] == DType::f32 ? wholes_[i] : gather_rows(*group_, map_, i, masters_[i]);
  }
  bool holds(std::size_t i) const override {
    return map_.parameters[i].tensor.array().storage().get() == wholes_[i].storage().get();
  }

 private:
  std::shared_ptr<comm::Communicator> group_;
  const ShardMap& map_;
  std::vector<Array> wholes_;   // [parameter], in the shared block
  std::vector<Array> shown_;    // own rows there, flat
  std::vector<Array> masters_;  // own rows apart from it; undefined: they are those
};

}  // namespace

std::unique_ptr<ParameterHome> make_mapped_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                                const HomeOptions& options) {
  std::int64_t bytes = 0;
  for (const std::int64_t unit : map.unit_bytes) {
    bytes += unit;
  }
  const Array block = group->allocate_shared({bytes}, DType::u8);
  if (!block.defined()) {
    return nullptr;
  }
  return std::make_unique<MappedHome>(std::move(group), map, block, options.separate_masters);
}

Array gather_rows(comm::Communicator& group, const ShardMap& map, std::size_t i, const Array& rows) {
  const Array whole = Array::empty(map.parameters[i].tensor.shape(), rows.dtype());
  group.all_gather_v(rows, whole.flatten(), map.placement(i).row_offsets, {.name = map.parameters[i].name}).wait();
  return whole;
}

std::unique_ptr<ParameterHome> make_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                         const HomeOptions& options) {
  std::unique_ptr<ParameterHome> home;
  if (options.share) {
    home = make_mapped_home(group, map, options);
  }
  return home ? std::move(home) : make_gathered_home(std::move(group), map, options);
}

}  // namespace trireme::strategies
