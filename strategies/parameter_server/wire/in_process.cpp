#include "trireme/strategies/parameter_server/wire/in_process.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

std::string text_of(Node node) {
  return fmt::format("{} {}", node.role == Role::server ? "server" : "worker", node.index);
}

std::size_t bytes_of(const Parcel& parcel) {
  std::size_t bytes = parcel.header.size();
  for (const Array& array : parcel.arrays) {
    bytes += array.bytes();
  }
  return bytes;
}

}  // namespace

struct InProcessHub::State {
  struct Box {
    std::deque<Endpoint::Event> events;
    std::map<Node, std::size_t> waiting_bytes;  // [sender]
    std::set<Node> peers;                       // who must be told when this one leaves
    std::uint64_t moved = 0;
  };

  explicit State(std::size_t window) : window_bytes(window) {}

  const std::size_t window_bytes;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Node, Box> boxes;
};

namespace {

using State = InProcessHub::State;

class InProcessEndpoint final : public Endpoint {
 public:
  InProcessEndpoint(std::shared_ptr<State> state, Node self) : state_(std::move(state)), self_(self) {}

  ~InProcessEndpoint() override {
    const std::lock_guard lock(state_->mutex);
    for (const Node& peer : state_->boxes.at(self_).peers) {
      const auto box = state_->boxes.find(peer);
      if (box != state_->boxes.end()) {
        box->second.events.push_back({Event::Kind::lost, self_, {}, text_of(self_) + " has left"});
        box->second.peers.erase(self_);
      }
    }
    state_->boxes.erase(self_);
    state_->changed.notify_all();
  }

  Node self() const override { return self_; }

  bool send(Node to, Parcel parcel, TimePoint deadline) override {
    require(parcel.header.size() <= kMaxHeaderBytes, "Endpoint::send: a header of {} bytes given, at most {} expected",
            parcel.header.size(), kMaxHeaderBytes);
    const std::size_t bytes = bytes_of(parcel);
    std::unique_lock lock(state_->mutex);
    while (true) {
      const auto box = state_->boxes.find(to);
      State::Box& mine = state_->boxes.at(self_);
      if (box == state_->boxes.end()) {
        mine.events.push_back({Event::Kind::lost, to, {}, text_of(to) + " is not there"});
        state_->changed.notify_all();
        return true;
      }
      std::size_t& waiting = box->second.waiting_bytes[self_];
      if (waiting == 0 || waiting + bytes <= state_->window_bytes) {
        waiting += bytes;
        box->second.events.push_back({Event::Kind::parcel, self_, std::move(parcel), {}});
        box->second.peers.insert(self_);
        mine.peers.insert(to);
        mine.moved += bytes;
        state_->changed.notify_all();
        return true;
      }
      if (state_->changed.wait_until(lock, deadline) == std::cv_status::timeout) {
        return false;
      }
    }
  }

  Event receive(TimePoint deadline) override {
    std::unique_lock lock(state_->mutex);
    State::Box& mine = state_->boxes.at(self_);
    if (!state_->changed.wait_until(lock, deadline, [&] { return !mine.events.empty(); })) {
      return {};
    }
    Event event = std::move(mine.events.front());
    mine.events.pop_front();
    if (event.kind == Event::Kind::parcel) {
      const std::size_t bytes = bytes_of(event.parcel);
      mine.moved += bytes;
      mine.waiting_bytes[event.from] -= bytes;
      state_->changed.notify_all();
    }
    return event;
  }

  std::uint64_t bytes_moved() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->boxes.at(self_).moved;
  }

 private:
  std::shared_ptr<State> state_;
  Node self_;
};

}  // namespace

InProcessHub::InProcessHub(std::size_t window_bytes) : state_(std::make_shared<State>(window_bytes)) {}

InProcessHub::~InProcessHub() = default;

std::unique_ptr<Endpoint> InProcessHub::join(Node self) {
  const std::lock_guard lock(state_->mutex);
  const bool fresh = state_->boxes.try_emplace(self).second;
  require(fresh, "InProcessHub: {} is there already", text_of(self));
  return std::make_unique<InProcessEndpoint>(state_, self);
}

}  // namespace trireme::strategies::parameter_server
