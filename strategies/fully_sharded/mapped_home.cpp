// The mapped home: all parameters in one block of memory that the ranks of the group share.
//
// No rank may write its rows while another still reads them in backward: updates come after a collective that all ranks
// start when their backward passes are over (the step's scalars). And none may read before all have written: that is
// the barrier in publish().
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/fully_sharded/parameter_home.h"

namespace trireme::strategies {
namespace {

class MappedHome final : public ParameterHome {
 public:
  MappedHome(std::shared_ptr<comm::Communicator> group, const ShardMap& map, const Array& block, bool separate_masters)
      : group_(std::move(group)), map_(map), wholes_(map.parameters.size()) {
    std::int64_t begin = 0;
    for (const sharding::Unit& unit : map.plan.units) {
      for (const sharding::UnitParameter& parameter : unit.parameters) {
        const Shape& shape = map.parameters[parameter.index].tensor.shape();
        wholes_[parameter.index] = block.narrow(0, begin + parameter.offset, shape.count()).reshape(shape);
      }
      begin += unit.elements;
    }
    for (std::size_t i = 0; i < wholes_.size(); ++i) {
      const ShardMap::Piece own = map.own(i);
      shown_.push_back(wholes_[i].flatten().narrow(0, own.first, own.count));
    }
    if (separate_masters) {
      masters_ = own_views(map, Array::zeros({own_elements(map)}));
    }
  }

  const Array& rows(std::size_t i) const override { return masters_.empty() ? shown_[i] : masters_[i]; }

  void adopt() override {
    for (std::size_t i = 0; i < wholes_.size(); ++i) {
      Tensor handle = map_.parameters[i].tensor;
      handle.set_value(wholes_[i]);
    }
    publish(true);
  }

  void publish(bool all) override {
    for (std::size_t i = 0; i < masters_.size(); ++i) {
      if (all || map_.parameters[i].tensor.requires_grad()) {
        shown_[i].copy_from(masters_[i]);
      }
    }
    group_->barrier({.name = "parameters updated"}).wait();
  }

  Array whole(std::size_t i) override { return wholes_[i]; }
  bool holds(std::size_t i) const override {
    return map_.parameters[i].tensor.array().storage().get() == wholes_[i].storage().get();
  }

 private:
  std::shared_ptr<comm::Communicator> group_;
  const ShardMap& map_;
  std::vector<Array> wholes_;   // [parameter], in the shared block
  std::vector<Array> shown_;    // own rows there, flat
  std::vector<Array> masters_;  // own rows apart from it; empty: they are those
};

}  // namespace

std::unique_ptr<ParameterHome> make_mapped_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                                const HomeOptions& options) {
  const Array block = group->allocate_shared({map.plan.elements()}, DType::f32);
  if (!block.defined()) {
    return nullptr;
  }
  return std::make_unique<MappedHome>(std::move(group), map, block, options.separate_masters);
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
