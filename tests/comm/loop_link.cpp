#include "tests/comm/loop_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "trireme/comm/message/message_communicator.h"

namespace trireme::test {

using comm::Link;

class LoopLink final : public Link {
 public:
  LoopLink(std::shared_ptr<LoopFabric> fabric, int rank) : fabric_(std::move(fabric)), rank_(rank) {}
  ~LoopLink() override {
    const std::lock_guard lock(fabric_->mutex_);
    for (auto& [route, lane] : fabric_->lanes_) {
      const auto mine = [&](const LoopFabric::Transfer* t) {
        return std::any_of(transfers_.begin(), transfers_.end(), [&](const auto& own) { return &own == t; });
      };
      std::erase_if(lane.sends, mine);
      std::erase_if(lane.receives, mine);
    }
  }

  std::string_view backend() const override { return "loop"; }
  int rank() const override { return rank_; }
  int size() const override { return fabric_->size_; }

  Ticket send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) override {
    return start({.from = bytes.data(), .bytes = bytes.size(), .source = rank_, .destination = peer}, tag, peer);
  }
  Ticket receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) override {
    return start({.to = bytes.data(), .bytes = bytes.size(), .source = peer, .destination = rank_}, tag, peer);
  }

  bool wait(Ticket ticket, Deadline deadline) override {
    std::unique_lock lock(fabric_->mutex_);
    LoopFabric::Transfer& transfer = transfers_[ticket];
    if (transfer.free) {
      fabric_->broken_rule_ = "waited for a ticket that was free";
      return true;
    }
    const int peer = transfer.source == rank_ ? transfer.destination : transfer.source;
    while (!transfer.done && !fabric_->is_lost(peer) && !fabric_->is_lost(rank_)) {
      if (interrupted_ || std::chrono::steady_clock::now() >= deadline) {
        return false;
      }
      fabric_->changed_.wait_until(lock, deadline);
    }
    if (!transfer.done) {
      throw comm::LinkError("the thread is gone", peer);
    }
    transfer.free = true;
    free_.push_back(ticket);
    return true;
  }

  void interrupt() override {
    const std::lock_guard lock(fabric_->mutex_);
    interrupted_ = true;
    fabric_->changed_.notify_all();
  }

  void open(comm::LetterReader& reader) override {
    postman_ = std::thread([this, &reader] { read(reader); });
  }
  void close() override {
    {
      const std::lock_guard lock(fabric_->mutex_);
      closed_ = true;
      fabric_->changed_.notify_all();
    }
    postman_.join();
  }
  void post(int peer, std::span<const std::byte> letter) override {
    const std::lock_guard lock(fabric_->mutex_);
    if (letter.size() > kMaxLetterBytes) {
      fabric_->broken_rule_ = "posted a letter that is too long";
    }
    if (!fabric_->is_lost(peer) && !fabric_->is_lost(rank_)) {
      fabric_->inboxes_[static_cast<std::size_t>(peer)].letters.emplace_back(
          rank_, std::vector<std::byte>(letter.begin(), letter.end()));
      fabric_->changed_.notify_all();
    }
  }

  bool all_reduce(std::byte*, std::int64_t, DType, comm::ReduceOp, Deadline) override { return false; }

  std::unique_ptr<Link> split(const std::vector<int>& members, std::uint64_t generation, Deadline) override {
    const std::lock_guard lock(fabric_->mutex_);
    std::shared_ptr<LoopFabric>& child = fabric_->children_[{generation, members[0]}];
    if (child == nullptr) {
      child = std::make_shared<LoopFabric>(static_cast<int>(members.size()));
    }
    return child->link(static_cast<int>(std::find(members.begin(), members.end(), rank_) - members.begin()));
  }

 private:
  Ticket start(const LoopFabric::Transfer& transfer, std::uint32_t tag, int peer) {
    const std::lock_guard lock(fabric_->mutex_);
    if (fabric_->is_lost(peer) || fabric_->is_lost(rank_)) {
      throw comm::LinkError("the thread is gone", peer);
    }
    if (tag >= kTags || transfer.bytes > kMaxTransferBytes || peer == rank_) {
      fabric_->broken_rule_ = "a tag, a length or a peer that a transfer may not have";
    }
    if (free_.empty()) {
      free_.push_back(static_cast<Ticket>(transfers_.size()));
      transfers_.emplace_back();
    }
    const Ticket ticket = free_.back();
    free_.pop_back();
    transfers_[ticket] = transfer;
    const LoopFabric::Route route{transfer.source, transfer.destination, tag};
    LoopFabric::Lane& lane = fabric_->lanes_[route];
    (transfer.source == rank_ ? lane.sends : lane.receives).push_back(&transfers_[ticket]);
    fabric_->match(route);
    return ticket;
  }

  void read(comm::LetterReader& reader) {
    std::unique_lock lock(fabric_->mutex_);
    LoopFabric::Inbox& inbox = fabric_->inboxes_[static_cast<std::size_t>(rank_)];
    while (!closed_) {
      if (!inbox.letters.empty() && !inbox.lost) {
        const auto [from, letter] = std::move(inbox.letters.front());
        inbox.letters.pop_front();
        lock.unlock();
        reader.on_letter(from, letter);
        lock.lock();
      } else if (!inbox.news.empty()) {
        const int lost = inbox.news.front();
        inbox.news.pop_front();
        lock.unlock();
        reader.on_lost(lost, "the thread is gone");
        lock.lock();
      } else {
        fabric_->changed_.wait(lock);
      }
    }
  }

  const std::shared_ptr<LoopFabric> fabric_;
  const int rank_;
  std::deque<LoopFabric::Transfer> transfers_;
  std::vector<Ticket> free_;
  bool interrupted_ = false;
  bool closed_ = false;
  std::thread postman_;
};

std::unique_ptr<Link> LoopFabric::link(int rank) { return std::make_unique<LoopLink>(shared_from_this(), rank); }

void LoopFabric::match(const Route& route) {
  if (held_ && held_->first == std::get<0>(route) && held_->second == std::get<1>(route)) {
    return;
  }
  Lane& lane = lanes_[route];
  while (!lane.sends.empty() && !lane.receives.empty()) {
    Transfer& from = *lane.sends.front();
    Transfer& to = *lane.receives.front();
    lane.sends.pop_front();
    lane.receives.pop_front();
    if (from.bytes > to.bytes) {
      broken_rule_ = "sent " + std::to_string(from.bytes) + " bytes to a receive of " + std::to_string(to.bytes);
      from.bytes = to.bytes;
    }
    if (from.bytes > 0) {
      std::memcpy(to.to, from.from, from.bytes);
    }
    from.done = true;
    to.done = true;
    changed_.notify_all();
  }
}

void LoopFabric::kill(int rank) {
  const std::lock_guard lock(mutex_);
  inboxes_[static_cast<std::size_t>(rank)].lost = true;
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank) {
      inboxes_[static_cast<std::size_t>(peer)].news.push_back(rank);
      inboxes_[static_cast<std::size_t>(rank)].news.push_back(peer);
    }
  }
  changed_.notify_all();
}

void LoopFabric::hold(int from, int to) {
  const std::lock_guard lock(mutex_);
  held_ = {from, to};
}

void LoopFabric::release() {
  const std::lock_guard lock(mutex_);
  held_.reset();
  for (auto& [route, lane] : lanes_) {
    match(route);
  }
}

std::string LoopFabric::broken_rule() const {
  const std::lock_guard lock(mutex_);
  return broken_rule_;
}

void run_loop_on(const std::shared_ptr<LoopFabric>& fabric, int size, const RankBody& body,
                 const RankOptions& options) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        comm::message::MessageCommunicator communicator(fabric->link(rank), options.timeout);
        body(communicator);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "rank " << rank << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(fabric->broken_rule(), "");
}

void run_loop(int size, const RankBody& body, const RankOptions& options) {
  run_loop_on(std::make_shared<LoopFabric>(size), size, body, options);
}

}  // namespace trireme::test
