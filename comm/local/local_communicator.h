// Ranks as threads of one process: the executable specification of Communicator. Simple before fast.
#pragma once

#include <memory>

#include "trireme/comm/communicator.h"
#include "trireme/comm/local/hub.h"

namespace trireme::comm {

class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalHub> hub, int rank) : Communicator(rank, hub->size()), hub_(std::move(hub)) {
    hub_->join(*this);
  }
  ~LocalCommunicator() override { hub_->leave(rank()); }

  std::string_view backend() const override { return "local"; }
  std::shared_ptr<Communicator> split(int colour, int key) override;
  void abort(std::string_view reason) override { hub_->abort(std::string(reason), rank()); }
  Array allocate(const Shape& shape, DType dtype) override { return Array::empty(shape, dtype); }
  Array allocate_shared(const Shape& shape, DType dtype) override {
    return size() == 1 ? Array::zeros(shape, dtype) : Array();
  }
  std::uint64_t bytes_moved() const override { return bytes_moved_; }
  std::vector<RankReport> look_at_ranks() override;

 protected:
  std::shared_ptr<WorkState> start(Operation&& operation) override;

 private:
  class State;

  std::shared_ptr<LocalHub> hub_;
  std::uint64_t bytes_moved_ = 0;
  std::uint64_t splits_ = 0;
};

}  // namespace trireme::comm
