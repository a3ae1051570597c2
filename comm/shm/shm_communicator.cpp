#include "trireme/comm/shm/shm_communicator.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/shm/shared_block.h"
#include "trireme/comm/shm/shm_operation.h"
#include "trireme/comm/split_plan.h"

namespace trireme::comm::shm {

std::shared_ptr<ShmCommunicator> ShmCommunicator::connect(int rank, int size, Store& store,
                                                          std::chrono::milliseconds timeout) {
  auto fabric = std::make_shared<Fabric>(rank, size, store, timeout);
  mirror_activity_in({fabric, &fabric->activity(rank)});
  std::vector<int> members(static_cast<std::size_t>(size));
  std::iota(members.begin(), members.end(), 0);
  std::vector<std::size_t> controls;
  for (int peer = 0; peer < size; ++peer) {
    controls.push_back(fabric->first_block(peer));
  }
  auto world = std::make_shared<ShmCommunicator>(std::move(fabric), rank, std::move(members), std::move(controls));
  world->set_default_timeout(timeout);
  world->join(timeout);
  return world;
}

// Nobody goes on, or away, before all have mapped all segments.
void ShmCommunicator::join(std::chrono::milliseconds timeout) {
  const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
  own().joined.store(1);
  for (int peer = 0; peer < size(); ++peer) {
    while (control(peer).joined.load() == 0) {
      require(!fabric_->is_dead(members_[static_cast<std::size_t>(peer)]), "backend shm: {} has ended during the start",
              name_of_rank(peer));
      require(std::chrono::steady_clock::now() < deadline, "backend shm: {} has not joined within {} ms",
              name_of_rank(peer), timeout.count());
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
}

ShmCommunicator::ShmCommunicator(std::shared_ptr<Fabric> fabric, int rank, std::vector<int> members,
                                 std::vector<std::size_t> controls)
    : Communicator(rank, static_cast<int>(members.size())),
      fabric_(std::move(fabric)),
      segment_(fabric_->segment()),
      members_(std::move(members)),
      ring_(kWindow) {
  for (std::size_t peer = 0; peer < members_.size(); ++peer) {
    controls_.push_back(reinterpret_cast<Control*>(fabric_->base(members_[peer]) + controls[peer]));
  }
}

// The control block stays allocated until the segment goes: a slower peer may still look at it.
ShmCommunicator::~ShmCommunicator() {
  Condition expected = Condition::running;
  own().condition.compare_exchange_strong(expected, Condition::left);
  ring_parked();
  if (is_world() && activity_mirror() == &fabric_->activity(fabric_->rank())) {
    mirror_activity_in(nullptr);  // else the thread would keep the memory mapped
  }
}

Array ShmCommunicator::allocate(const Shape& shape, DType dtype) { return allocate_array(segment_, shape, dtype); }

Array ShmCommunicator::allocate_shared(const Shape& shape, DType dtype) {
  return allocate_shared_block(*this, shape, dtype);
}

std::uint64_t ShmCommunicator::offset_of(const Array& array) const {
  if (array.count() == 0) {
    return 0;
  }
  return segment_->contains(array.bytes_data(), array.bytes())
             ? static_cast<std::uint64_t>(array.bytes_data() - segment_->base())
             : kNowhere;
}

bool ShmCommunicator::is_world() const {
  const std::byte* first = fabric_->base(fabric_->rank()) + fabric_->first_block(fabric_->rank());
  return reinterpret_cast<const std::byte*>(&own()) == first;
}

std::string ShmCommunicator::name_of_rank(int rank) const {
  return fmt::format("rank {} (pid {})", rank, fabric_->pid(members_[static_cast<std::size_t>(rank)]));
}

std::shared_ptr<WorkState> ShmCommunicator::start(Operation&& operation) {
  if (!failure_ && own().condition.load() != Condition::running) {  // aborted
    check_failures(operation, operation.start);
  }
  if (failure_) {
    recorder().failed(operation.record, operation.start);
    raise(operation);
  }
  bytes_moved_ += traffic_of(operation, rank(), size());
  if (is_message(operation.kind)) {
    auto message = std::allocate_shared<ShmMessage>(PoolAllocator<ShmMessage>(), this, std::move(operation));
    messages_.push_back(message);
    advance();
    return message;
  }
  auto state = std::allocate_shared<ShmOperation>(PoolAllocator<ShmOperation>(), this, std::move(operation));
  if (started_ - completed_ == ring_.size()) {
    std::vector<std::shared_ptr<ShmOperation>> larger(2 * ring_.size());
    for (std::uint64_t sequence = completed_; sequence < started_; ++sequence) {
      larger[sequence % larger.size()] = std::move(ring_[sequence % ring_.size()]);
    }
    ring_ = std::move(larger);
  }
  ring_[started_++ % ring_.size()] = state;
  advance();
  return state;
}

std::shared_ptr<Communicator> ShmCommunicator::split(int colour, int key) {
  const std::vector<int> members = members_of_split(*this, colour, key);
  std::size_t offset = 0;
  if (!members.empty()) {
    offset = segment_->allocate(sizeof(Control));
    new (segment_->base() + offset) Control;
  }
  const Array mine = Array::from(std::vector<std::int64_t>{static_cast<std::int64_t>(offset)}, {1});
  const Array all = Array::empty({size()}, DType::i64);
  all_gather(mine, all, {.name = "split"}).wait();
  if (members.empty()) {
    return nullptr;
  }
  std::vector<int> fabric_ranks;
  std::vector<std::size_t> controls;
  for (const int member : members) {
    fabric_ranks.push_back(members_[static_cast<std::size_t>(member)]);
    controls.push_back(static_cast<std::size_t>(all.data<std::int64_t>()[member]));
  }
  const auto place = std::find(members.begin(), members.end(), rank()) - members.begin();
  auto child =
      std::make_shared<ShmCommunicator>(fabric_, static_cast<int>(place), std::move(fabric_ranks), std::move(controls));
  child->set_default_timeout(default_timeout());
  return child;
}

}  // namespace trireme::comm::shm
