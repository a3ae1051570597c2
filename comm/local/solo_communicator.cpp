#include "trireme/comm/local/solo_communicator.h"

#include <cstring>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/reduce_slots.h"

namespace trireme::comm {
namespace {

class Done final : public WorkState {
 public:
  bool poll() override { return true; }
  void wait() override {}
};

void carry_out(const Operation& operation) {
  const Array& output = operation.output;
  if (operation.kind == OpKind::all_reduce_parts || operation.kind == OpKind::reduce_scatter_parts) {
    thread_local std::vector<const std::byte*> sources;
    sources.clear();
    for (const Part& part : operation.parts) {
      sources.push_back(part.array.bytes_data());
    }
    std::byte* const to = output.bytes_data();
    reduce_slots({output.dtype(), operation.op, operation.layout->plan, sources, {&to, 1}}, output.count());
  } else if (output.count() > 0 && operation.input.bytes_data() != output.bytes_data()) {
    std::memmove(output.bytes_data(), operation.input.bytes_data(), output.bytes());
  }
}

}  // namespace

std::shared_ptr<WorkState> SoloCommunicator::start(Operation&& operation) {
  static const std::shared_ptr<WorkState> done = std::make_shared<Done>();
  {
    const std::lock_guard lock(mutex_);
    if (aborted_) {
      recorder().failed(operation.record, operation.start);
      throw comm_error(operation, 0, {0}, *aborted_);
    }
  }
  carry_out(operation);
  recorder().completed(operation.record, operation.start);
  return done;
}

std::shared_ptr<Communicator> SoloCommunicator::split(int colour, int) {
  if (colour < 0) {
    return nullptr;
  }
  auto child = std::make_shared<SoloCommunicator>();
  child->set_default_timeout(default_timeout());
  return child;
}

void SoloCommunicator::abort(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  if (!aborted_) {
    aborted_ = fmt::format("rank 0 aborted the communicator: {}", reason);
  }
}

}  // namespace trireme::comm
