// A Link between the threads of one process, for tests of what is built on links: it keeps every rule of link.h,
// notices when its user breaks one, and can lose ranks and hold messages back.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/comm/ranks.h"
#include "trireme/comm/message/link.h"

namespace trireme::test {

// What the links of one communicator share. Outlives them.
class LoopFabric : public std::enable_shared_from_this<LoopFabric> {
 public:
  explicit LoopFabric(int size) : size_(size), inboxes_(static_cast<std::size_t>(size)) {}

  std::unique_ptr<comm::Link> link(int rank);
  // As if the rank's process had ended: nothing goes there or comes from there any more.
  void kill(int rank);
  // Transfers from one rank to another wait until release().
  void hold(int from, int to);
  void release();
  // What a user did that a real engine would not have survived; empty if nothing.
  std::string broken_rule() const;

 private:
  friend class LoopLink;
  struct Transfer {
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
    std::size_t bytes = 0;
    int source = 0;
    int destination = 0;
    bool done = false;
    bool free = false;
  };
  struct Inbox {
    std::deque<std::pair<int, std::vector<std::byte>>> letters;
    bool lost = false;
    std::deque<int> news;  // ranks that were lost
  };
  using Route = std::tuple<int, int, std::uint32_t>;
  struct Lane {
    std::deque<Transfer*> sends;
    std::deque<Transfer*> receives;
  };
  void match(const Route& route);
  bool is_lost(int rank) const { return inboxes_[static_cast<std::size_t>(rank)].lost; }

  const int size_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Route, Lane> lanes_;
  std::vector<Inbox> inboxes_;
  std::optional<std::pair<int, int>> held_;
  std::string broken_rule_;
  std::map<std::pair<std::uint64_t, int>, std::shared_ptr<LoopFabric>> children_;
};

// Runs the body on ranks that are threads, over MessageCommunicator and this link.
void run_loop(int size, const RankBody& body, const RankOptions& options = {});
void run_loop_on(const std::shared_ptr<LoopFabric>& fabric, int size, const RankBody& body,
                 const RankOptions& options = {});

}  // namespace trireme::test
