// A world of one: every collective is an identity, and complete when it returns.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

class SoloCommunicator final : public Communicator {
 public:
  SoloCommunicator() : Communicator(0, 1) {}

  std::string_view backend() const override { return "local"; }
  std::shared_ptr<Communicator> split(int colour, int key) override;
  void abort(std::string_view reason) override;
  Array allocate(const Shape& shape, DType dtype) override { return Array::empty(shape, dtype); }
  Array allocate_shared(const Shape& shape, DType dtype) override { return Array::zeros(shape, dtype); }
  std::uint64_t bytes_moved() const override { return 0; }

 protected:
  std::shared_ptr<WorkState> start(Operation&& operation) override;

 private:
  std::mutex mutex_;
  std::optional<std::string> aborted_;
};

}  // namespace trireme::comm
